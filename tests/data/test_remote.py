import contextlib
import functools
import http.server
import logging
import threading
from pathlib import Path
from types import SimpleNamespace

import datasets
import fsspec
import pytest
from huggingface_hub import utils as hub

from ftkit.data import load_rows
from ftkit.errors import DataError, MissingDependencyError, SourceError


@pytest.fixture
def memory():
    """The file system behind `memory://`, empty."""
    system = fsspec.filesystem("memory")
    system.rm("/", recursive=True) if system.ls("/") else None
    return system


def test_an_address_is_read_like_a_file(memory, cache):
    memory.pipe("/set/train.jsonl", '{"a": "月"}\n'.encode())
    rows = load_rows("memory://set/train.jsonl")
    assert list(rows) == [{"a": "月"}]
    assert rows.where(0) == "memory:///set/train.jsonl:1"


def test_a_pattern_and_a_folder_give_all_files_sorted(memory, cache):
    for name in ("b", "a"):
        memory.pipe(f"/set/{name}.jsonl", f'{{"a": "{name}"}}'.encode())
    assert [row["a"] for row in load_rows("memory://set/*.jsonl")] == ["a", "b"]
    assert [row["a"] for row in load_rows("memory://set/")] == ["a", "b"]


def test_an_empty_file_of_a_pattern_is_a_warning_only(memory, cache, caplog):
    memory.pipe({"/set/a.jsonl": b'{"a": 1}', "/set/b.jsonl": b""})
    assert len(load_rows("memory://set/*.jsonl")) == 1
    assert "memory:///set/b.jsonl: is empty" in caplog.text


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("memory://set/none.jsonl", SourceError, "no such file; check the address"),
        ("memory://set/none-*.jsonl", SourceError, "no file matches; check the pattern"),
        ("nowhere://set/a.jsonl", SourceError, "Protocol not known: nowhere"),
        ("memory://set/a.xyz", DataError, "unknown suffix '.xyz'"),
    ],
)
def test_addresses_that_give_nothing_are_refused(memory, cache, source, kind, message):
    memory.pipe("/set/a.xyz", b"a")
    with pytest.raises(kind) as caught:
        load_rows(source)
    assert message in str(caught.value)


def test_a_missing_driver_is_named(monkeypatch):
    def fail(address):
        raise ImportError("Install adlfs to access Azure")

    monkeypatch.setattr(fsspec.core, "url_to_fs", fail)
    with pytest.raises(MissingDependencyError, match="abfs://b/a.jsonl: .* Install adlfs to access Azure"):
        load_rows("abfs://b/a.jsonl")


class Handler(http.server.SimpleHTTPRequestHandler):
    """A quiet file server that counts what is fetched and may hide when files changed."""

    fetched: list[str] = []
    hides_changes = False

    def do_GET(self):
        self.fetched.append(self.path)
        super().do_GET()

    def send_header(self, keyword, value):
        if not (self.hides_changes and keyword == "Last-Modified"):
            super().send_header(keyword, value)

    def log_message(self, *args):
        pass


@pytest.fixture
def serve(write):
    """Serve the current folder on this machine; returns the address and the fetched paths."""
    servers = []

    def start(*, hides_changes=False):
        handler = type("Handler", (Handler,), {"fetched": [], "hides_changes": hides_changes})
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(Path.cwd()))
        )
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", handler.fetched

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_web_address_is_fetched_once_while_the_file_does_not_change(write, serve, cache):
    write("train.jsonl.gz", '{"a": 1}\n')
    address, fetched = serve()
    for _ in range(3):
        rows = load_rows(f"{address}/train.jsonl.gz?download=true")
        assert list(rows) == [{"a": 1}]
    assert rows.where(0) == f"{address}/train.jsonl.gz:1"
    assert len(fetched) == 1


def test_a_web_address_is_fetched_again_when_the_file_changed(write, serve, cache):
    write("train.jsonl", '{"a": 1}\n')
    address, fetched = serve()
    load_rows(f"{address}/train.jsonl")
    write("train.jsonl", '{"a": 22}\n')
    assert list(load_rows(f"{address}/train.jsonl")) == [{"a": 22}]
    assert len(fetched) == 2


def test_a_server_that_does_not_tell_of_changes_is_asked_every_time(write, serve, cache):
    write("train.jsonl", '{"a": 1}\n')
    address, _ = serve(hides_changes=True)
    load_rows(f"{address}/train.jsonl")
    write("train.jsonl", '{"a": 2}\n')
    assert list(load_rows(f"{address}/train.jsonl")) == [{"a": 2}]


def test_a_server_that_cannot_be_reached_is_an_error(cache):
    with pytest.raises(SourceError, match=r"http://127.0.0.1:1/a.jsonl: "):
        load_rows("http://127.0.0.1:1/a.jsonl")


@pytest.fixture
def hub_set(monkeypatch):
    """Stands in for `datasets.load_dataset`; remembers how it was called."""
    calls = []

    def load_dataset(name, config, *, split, revision):
        calls.append((name, config, split, revision))
        assert datasets.are_progress_bars_disabled()
        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
        )
        return datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


def test_a_hub_set_is_loaded_with_its_options_and_label_names(hub_set, cache):
    rows = load_rows("org/name?config=plain&split=train[:10]&revision=v1")
    assert hub_set == [("org/name", "plain", "train[:10]", "v1")]
    assert list(rows) == [{"text": "a", "label": "pos"}, {"text": "b", "label": "neg"}]
    assert rows.where(1) == "org/name?config=plain&split=train[:10]&revision=v1[1]"


def test_a_hub_set_gives_the_split_that_is_asked_for(hub_set, cache):
    load_rows("org/name", split_name="validation")
    assert hub_set == [("org/name", None, "validation", None)]


def test_a_hub_set_is_stored_once(hub_set, cache, caplog):
    caplog.set_level(logging.INFO)
    assert load_rows("org/name").fingerprint == load_rows("org/name").fingerprint
    assert caplog.text.count("reading org/name") == 1


def test_progress_bars_come_back_after_loading(hub_set, cache, monkeypatch):
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    load_rows("org/name")
    assert not datasets.are_progress_bars_disabled()
    with contextlib.suppress(AttributeError):
        hub.are_progress_bars_disabled()


def test_an_unknown_option_is_refused(hub_set):
    with pytest.raises(
        SourceError, match=r"unknown option 'spilt'; a data set of the hub takes config, split, revision"
    ):
        load_rows("org/name?spilt=test")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            datasets.exceptions.DatasetNotFoundError("Dataset 'org/name' doesn't exist"),
            "check the name, and run `hf auth",
        ),
        (
            ValueError("Unknown split \"test\". Should be one of ['train'].\nmore"),
            "choose with org/name?config=...&split=",
        ),
        (
            ConnectionError("Couldn't reach the Hub"),
            "in the hub's cache: nothing; use a file, or try again",
        ),
    ],
)
def test_what_the_hub_refuses_is_told_in_one_line(error, message, monkeypatch):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    monkeypatch.setattr("ftkit.data.remote.list_cached_repos", lambda kind: [])
    with pytest.raises(SourceError) as caught:
        load_rows("org/name")
    first_line = str(error).splitlines()[0]
    assert str(caught.value).startswith(f"org/name: cannot load this data set: {first_line}; ")
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_without_a_network_the_hub_is_an_error_that_says_so():
    with pytest.raises(SourceError, match="org/name: cannot load this data set: Couldn't reach"):
        load_rows("org/name")


def test_one_file_of_a_hub_set_is_read_like_a_file(write, monkeypatch):
    folder = Path(write("snapshot/data/train.jsonl", '{"a": 1}')).absolute().parent.parent
    repo = SimpleNamespace(files=("data/train.jsonl",))
    monkeypatch.setattr("ftkit.data.remote.open_hub_repo", lambda *args, **options: repo)
    monkeypatch.setattr("ftkit.data.remote.fetch_hub_files", lambda repo, files: folder)
    rows = load_rows("hf://org/name/data/train.jsonl")
    assert rows.where(0) == "hf://org/name/data/train.jsonl:1"
    with pytest.raises(SourceError, match="has no file 'data/trian.jsonl'; nearest: data/train.jsonl"):
        load_rows("hf://org/name/data/trian.jsonl")
