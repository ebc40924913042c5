"""The hub: a small server that answers as it does, its cache, and what happens without it."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import ftkit.errors
from ftkit.errors import SourceError
from ftkit.sources import fetch_hub_files, list_cached_repos, open_hub_repo

ROOT = Path(ftkit.errors.__file__).parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"{}", "model.safetensors": b"weights", "onnx/model.onnx": b"big"}
REFUSALS = {"nothing/here": (404, "RepoNotFound"), "a/gated": (403, "GatedRepo")}


class Hub(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0].removeprefix("/api/models").strip("/")
        repo_id = "/".join(path.split("/")[:2])
        if repo_id in REFUSALS:
            return self.answer(REFUSALS[repo_id][0], {"X-Error-Code": REFUSALS[repo_id][1]})
        if "v9" in path:
            return self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        if "/resolve/" in path:
            return self.answer_file(path.partition(f"/resolve/{COMMIT}/")[2])
        if "/tree/" in path:
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in FILES.items()
            ]
            return self.answer(200, {}, json.dumps(tree).encode())
        info = {"id": repo_id, "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
        return self.answer(200, {}, json.dumps(info).encode())

    do_HEAD = do_GET

    def answer_file(self, name):
        content = FILES[name]
        etag = hashlib.sha1(content).hexdigest()
        return self.answer(200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, content)

    def answer(self, status, headers, content=b"{}"):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_args):
        pass


@pytest.fixture(scope="module")
def hub_url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run_against_hub(code, cache, url="http://127.0.0.1:9", offline="0"):
    """Run code in a process of its own, since the hub's address is read when its library is imported."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": url,
        "HF_HUB_OFFLINE": offline,
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "*",
    }
    start = "from ftkit.sources import *\nfrom ftkit.errors import *\n"
    result = subprocess.run(
        [sys.executable, "-c", start + code], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


OPEN = """
try:
    repo = open_hub_repo({id!r}, revision={revision!r})
    print(repo.commit, sorted(repo.files), fetch_hub_files(repo, ["config.json", "model.safetensors"]))
except SourceError as error:
    print("SourceError:", error)
"""


def test_wanted_files_come_into_the_hub_librarys_cache_and_stay_usable_without_it(hub_url, tmp_path):
    first = run_against_hub(OPEN.format(id="org/name", revision=None), tmp_path, hub_url)
    folder = tmp_path / "models--org--name" / "snapshots" / COMMIT
    assert COMMIT in first
    assert str(folder) in first
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert not (folder / "onnx").exists()
    without = run_against_hub(OPEN.format(id="org/name", revision=None), tmp_path)
    assert str(folder) in without
    assert "using the copy in the cache" in without


@pytest.mark.parametrize(
    ("repo_id", "revision", "complaint"),
    [
        ("nothing/here", None, "no such model on the hub, nor a local path"),
        ("a/gated", None, "gated; this account has no access; ask for it at https://huggingface.co/a/gated"),
        ("org/name", "v9", "the repository has no revision 'v9'"),
    ],
)
def test_what_the_hub_refuses_is_one_clear_error(hub_url, tmp_path, repo_id, revision, complaint):
    output = run_against_hub(OPEN.format(id=repo_id, revision=revision), tmp_path, hub_url)
    assert output.startswith("SourceError:")
    assert complaint in output


def test_a_hub_out_of_reach_lists_what_is_cached(tmp_path):
    make_snapshot(tmp_path, "other/model", {"config.json": b"{}"})
    output = run_against_hub(OPEN.format(id="org/name", revision=None), tmp_path)
    assert "the hub cannot be reached" in output
    assert "cached: other/model;" in output


def make_snapshot(cache: Path, repo_id: str, files: dict[str, bytes], *, kind: str = "models") -> Path:
    """Lay out one repository as the hub's library caches it."""
    repo = cache / f"{kind}--{repo_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / COMMIT
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    (repo / "blobs").mkdir()
    snapshot.mkdir(parents=True)
    for name, content in files.items():
        blob = repo / "blobs" / hashlib.sha1(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    return snapshot


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_offline_the_cached_snapshot_is_used(hub_cache):
    snapshot = make_snapshot(hub_cache, "org/name", FILES)
    repo = open_hub_repo("org/name")
    assert repo.files == tuple(sorted(FILES))
    assert fetch_hub_files(repo, ["config.json"]) == snapshot


def test_offline_a_commit_finds_its_snapshot_and_another_revision_does_not(hub_cache):
    make_snapshot(hub_cache, "org/name", FILES)
    assert open_hub_repo("org/name", revision=COMMIT).commit == COMMIT
    with pytest.raises(SourceError, match="no copy at revision 'v2'; cached: org/name"):
        open_hub_repo("org/name", revision="v2")


def test_offline_nothing_cached_is_said(hub_cache):
    with pytest.raises(SourceError, match=r"switched off \(HF_HUB_OFFLINE=1\).*cached: nothing"):
        open_hub_repo("org/name")


def test_cached_models_and_data_sets_are_listed_apart(hub_cache):
    make_snapshot(hub_cache, "b/model", FILES)
    make_snapshot(hub_cache, "a/model", FILES)
    make_snapshot(hub_cache, "a/rows", FILES, kind="datasets")
    assert list_cached_repos() == ["a/model", "b/model"]
    assert list_cached_repos("dataset") == ["a/rows"]


def test_a_cache_that_does_not_exist_holds_nothing(hub_cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub_cache / "none"))
    assert list_cached_repos() == []
