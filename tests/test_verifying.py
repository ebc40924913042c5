"""Some steps of a run, repeated and compared with what it recorded."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import ftkit
from ftkit.errors import RunError
from ftkit.pipeline.verifying import compare_logs, compare_weights, list_notes
from ftkit.runs import list_checkpoints
from ftkit.runs.checkpoint_folders import SEAL, seal_checkpoint

ROWS = [
    {"messages": [{"role": "user", "content": word}, {"role": "assistant", "content": f"{word} " * length}]}
    for word in ("cat", "world", "月光")
    for length in range(2, 10)
]


@pytest.fixture(scope="module")
def original(tmp_path_factory, shared_cache, tiny_llama):
    """A finished run with an adapter, dropout and evaluations."""
    folder = tmp_path_factory.mktemp("verified")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS]
    (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTKIT_CACHE", str(shared_cache))
        ftkit.finetune(
            task="chat",
            model=str(tiny_llama),
            data={"train": str(folder / "rows.jsonl"), "validation": "20%"},
            checks={"unknown_tokens": 1.0, "rows_left_out": 1.0, "prompts_changed": 1.0},
            adapter={"method": "lora", "rank": 4, "dropout": 0.1},
            training={
                "max_steps": 9,
                "batch_size": 5,
                "learning_rate": 1e-2,
                "checkpoint_every": 3,
                "save_total_limit": 3,
                "log_every": 2,
                "precision": "float32",
                "arguments": {"use_cpu": True},
            },
            evaluation={"every": 3},
            output_dir=str(folder / "run"),
        )
    return folder / "run"


def list_files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_steps_between_the_last_two_checkpoints_come_out_the_same(original):
    before = list_files(original)
    found = ftkit.verify_run(original)
    assert (found.first, found.last) == (6, 9)
    assert found.is_same
    assert found.num_tensors > 4
    assert str(found).endswith("the same, bit for bit")
    steps = {line["step"]: line for line in _read_log(original)}
    # The log has a line every two steps; at the last step there is only an evaluation.
    assert found.num_values == 4 + sum(name.startswith("eval_") for name in steps[9])
    assert list_files(original) == before


def _read_log(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    merged = {}
    for line in lines:
        merged[line["step"]] = {**merged.get(line["step"], {}), **line}
    return merged.values()


def test_a_run_can_be_repeated_from_its_start(original):
    found = ftkit.verify_run(original, first=0, num_steps=3)
    assert (found.first, found.last, found.is_same) == (0, 3, True)
    assert "repeated from the start" in str(found)
    assert found.num_tensors > 4


@pytest.fixture
def copied(original, tmp_path):
    shutil.copytree(original, tmp_path / "run")
    return tmp_path / "run"


def test_other_weights_and_numbers_are_found_and_said(copied):
    path = copied / "checkpoints" / "checkpoint-9" / "adapter_model.safetensors"
    weights = load_file(path)
    name = sorted(weights)[0]
    weights[name][0, 0] += 0.25
    save_file(weights, path, metadata={"format": "pt"})
    log = (copied / "metrics.jsonl").read_text().replace('"grad_norm": 0.', '"grad_norm": 1.')
    (copied / "metrics.jsonl").write_text(log)
    found = ftkit.verify_run(copied)
    assert not found.is_same
    assert (found.num_other_tensors, found.largest_change) == (1, pytest.approx(0.25))
    assert {each.name for each in found.differences} <= {"grad_norm"}
    assert "1 differ, by up to 0.25" in str(found) or "1 differ" in str(found)
    assert str(found).endswith("not the same")


def test_a_run_of_other_rows_is_not_repeated(copied):
    info = json.loads((copied / "run.json").read_text())
    info["fingerprints"]["data.train"] = "other"
    (copied / "run.json").write_text(json.dumps(info))
    with pytest.raises(RunError, match=r"cannot be repeated: data.train changed since it began"):
        ftkit.verify_run(copied)


def test_a_damaged_checkpoint_is_named(copied):
    (copied / "checkpoints" / "checkpoint-6" / "optimizer.pt").write_bytes(b"")
    with pytest.raises(RunError, match=r"checkpoint-6: damaged \(optimizer.pt"):
        ftkit.verify_run(copied)


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"first": 5}, r"has no checkpoint of step 5; there are 0, 3, 6, 9 \(0 is the start\)"),
        ({"first": 9}, r"nothing is recorded after step 9; begin with an earlier checkpoint"),
        ({"first": 6, "num_steps": 8}, r"steps 7 to 14 cannot be compared"),
    ],
)
def test_steps_that_the_run_has_not_are_refused(original, options, pattern):
    with pytest.raises(RunError, match=pattern):
        ftkit.verify_run(original, **options)


def test_a_run_without_checkpoints_has_nothing_to_repeat(copied):
    shutil.rmtree(copied / "checkpoints")
    with pytest.raises(RunError, match="cannot be verified: it has no checkpoint yet"):
        ftkit.verify_run(copied)
    found = ftkit.verify_run(copied, first=0, num_steps=2)
    assert found.is_same
    assert "not compared: the run has no checkpoint-2" in str(found)


def test_shards_are_refused(copied):
    checkpoint = list_checkpoints(copied / "checkpoints")[1]
    (checkpoint / "pytorch_model_fsdp_0").mkdir()
    (checkpoint / SEAL).unlink()
    seal_checkpoint(checkpoint)
    with pytest.raises(RunError, match="holds shards of a model"):
        ftkit.verify_run(copied)


def test_logs_are_compared_between_two_steps_and_without_the_clock():
    old = [{"step": step, "loss": step / 7, "tokens_per_second": 1.0} for step in range(1, 7)]
    new = [{"step": step, "loss": step / 7 + (step == 4) * 1e-9, "tokens_per_second": 2.0} for step in (3, 4)]
    count, differences = compare_logs(old, new, first=2, last=4)
    assert count == 2
    assert [(each.step, each.name) for each in differences] == [(4, "loss")]
    count, differences = compare_logs(old, new, first=2, last=5)
    assert differences[-1].repeated is None


def test_weights_of_another_shape_or_name_differ(tmp_path):
    for name, tensors in {
        "old": {"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.ones(1)},
        "new": {"a": torch.zeros(3), "b": torch.zeros(2), "d": torch.ones(1)},
    }.items():
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
    assert compare_weights(tmp_path / "old", tmp_path / "new") == (4, 3, float("inf"))
    assert compare_weights(tmp_path / "none", tmp_path / "new") == (0, 0, 0.0)


def test_other_versions_and_processes_are_noted():
    notes = list_notes({"versions": {"torch": "1.0"}, "num_processes": 4})
    assert notes[0].startswith("other versions: torch 1.0 -> ")
    assert notes[1].startswith("the run had 4 processes")
    assert list_notes({}) == []
