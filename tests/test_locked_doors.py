"""What a run writes and keeps: nothing outside its own folders, and no secret of the person who runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftkit.errors import FtkitError
from ftkit.pipeline import check

SECRET = "s3cr3t-planted-7f3a"
SECRETS = ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "COMET_API_KEY")
RECIPE = """\
task: chat
model: {model}
data: {{train: rows.jsonl, validation: 25%, test: rows.jsonl, leakage: allow, clean: [white_space]}}
training: {{max_steps: 4, batch_size: 2, checkpoint_every: 2, report_to: [tensorboard]}}
checks: {{unknown_tokens: 1.0}}
output_dir: out
"""
HOOK = """
import os, sys
log = open(os.environ["WRITES"], "a", buffering=1)
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        mode, flags = arguments[1] or "", arguments[2] or 0
        writes = any(sign in mode for sign in "wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        names = arguments[:1] * bool(writes)
    else:  # the last argument is the folder that a relative name begins at, -1 where none was given
        names = {"os.mkdir": 1, "os.remove": 1, "os.rename": 2, "os.link": 2}.get(event, 0)
        names = arguments[:names] if arguments[-1:] == (-1,) else ()
    for name in names:
        log.write(os.path.abspath(os.fsdecode(name)) + "\\n")
sys.addaudithook(note)
"""


def list_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def home(tmp_path, tiny_llama):
    """A home of its own for one user, with a recipe in `work` and a hook that notes what is written."""
    for name in ("home", "work", "cache", "temporary", "hook"):
        (tmp_path / name).mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    row = (
        '{"messages": [{"role": "user", "content": "床前"}, {"role": "assistant", "content": "明月光 %d"}]}\n'
    )
    (tmp_path / "work" / "rows.jsonl").write_text("".join(row % index for index in range(8)))
    (tmp_path / "work" / "recipe.yaml").write_text(RECIPE.format(model=tiny_llama))
    return tmp_path


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(home / "hook"), str(Path(__file__).parents[1])]),
        "HOME": str(home / "home"),
        "TMPDIR": str(home / "temporary"),
        "FTKIT_CACHE": str(home / "cache"),
        "WRITES": str(home / "writes.txt"),
        "OMP_NUM_THREADS": "1",
        **dict.fromkeys(SECRETS, SECRET),
    }
    command = [sys.executable, "-B", "-m", "ftkit", *words]
    return subprocess.run(
        command, cwd=home / "work", env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_a_run_writes_into_its_folder_and_the_cache_alone_and_keeps_no_secret(home):
    before = list_files(home)
    done = run(home, "finetune", "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert run(home, "-v", "eval", "out").returncode == 0
    new = {name for name in list_files(home) - before if not name.startswith(("work/out/", "cache/"))}
    fonts = "home/.cache/matplotlib/"  # of the library that plots the report's curves
    assert {name for name in new if not name.startswith(fonts)} == {"writes.txt"}
    assert list((home / "work" / "out" / "tensorboard").iterdir())
    own = ("work/out", "cache", "temporary", "home", "writes.txt", "work/.ftkit-")  # the last: a trial
    written = (home / "writes.txt").read_text().splitlines()
    elsewhere = (*(str(home / name) for name in own), "/dev/", "/proc/")
    assert len(written) > 50
    assert [path for path in written if not path.startswith(elsewhere)] == []
    kept = [name for name in sorted(list_files(home)) if SECRET.encode() in (home / name).read_bytes()]
    assert kept == []
    assert SECRET not in done.stdout + done.stderr


def test_a_template_that_reaches_for_python_is_one_error(home, monkeypatch, tmp_path):
    template = "{% for m in messages %}{{ m.__class__.__base__.__subclasses__() }}{% endfor %}"
    with pytest.raises(FtkitError, match="template"):
        check(
            task="chat",
            model={
                "base": str((home / "work" / "recipe.yaml").read_text().split()[3]),
                "chat_template": template,
            },
            data={"train": str(home / "work" / "rows.jsonl")},
            output_dir=str(tmp_path / "out"),
        ).raise_if_refused()
