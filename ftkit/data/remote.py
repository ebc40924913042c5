"""Rows that lie elsewhere: data sets of the hub, and addresses that fsspec opens."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from ftkit.data.files import DataFile, make_data_file
from ftkit.data.remote_systems import RemotePath, hide_secrets, make_remote_error, open_remote
from ftkit.errors import SourceError
from ftkit.sources import (
    Location,
    cache_folder,
    fetch_hub_files,
    hold_lock,
    list_cached_repos,
    open_hub_repo,
    write_aside,
)

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

_HUB_OPTIONS = ("config", "split", "revision")
_VERSION_KEYS = frozenset(
    {"etag", "mtime", "modified", "lastmodified", "contentmd5", "digest", "md5hash", "created", "updated"}
    | {"generation", "blobid"}
)
"""What drivers call the entry by which a changed file shows, in lower case, without - and _."""


def fetch_hub_file(location: Location) -> DataFile:
    """Bring one file of a data set on the hub to this disk.

    Raises:
        SourceError: there is no such repository or file, or the hub is out of reach.
    """
    repo_id, path = str(location.repo_id), str(location.path_in_repo)
    repo = open_hub_repo(repo_id, revision=location.options.get("revision"), repo_type="dataset")
    if path not in repo.files:
        near = get_close_matches(path, repo.files, n=3, cutoff=0.3)
        raise SourceError(
            f"{location.spec}: the data set has no file {path!r}; nearest: {', '.join(near) or 'none'}"
        )
    folder = fetch_hub_files(repo, [path])
    return make_data_file(folder / path, location.spec.partition("?")[0])


def load_hub_dataset(location: Location, split_name: str) -> datasets.Dataset:
    """Load a split of a data set of the hub, through the `datasets` library and its cache.

    Args:
        location: of kind `hub`, with the options `config`, `split` and `revision`.
        split_name: the split where the options name none.

    Raises:
        SourceError: unknown options, no such data set, configuration or split, or no way to the hub.
    """
    import datasets

    options = location.options
    if wrong := [name for name in options if name not in _HUB_OPTIONS]:
        raise SourceError(
            f"{location.spec}: unknown option {wrong[0]!r}; a data set of the hub takes "
            f"{', '.join(_HUB_OPTIONS)}: org/name?config=...&split=..."
        )
    split = options.get("split", split_name)
    logger.info("loading %s, split %s, from the hub or its cache", location.repo_id, split)
    try:
        with _hide_progress_bars():
            return datasets.load_dataset(
                location.repo_id, options.get("config"), split=split, revision=options.get("revision")
            )
    except Exception as error:
        raise SourceError(_explain_hub_error(location.spec, error)) from error


def _explain_hub_error(spec: str, error: Exception) -> str:
    """Say why the `datasets` library could not load a data set, and what to do."""
    from datasets.exceptions import DatasetNotFoundError

    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, DatasetNotFoundError):
        remedy = "check the name, and run `hf auth login` if it is private or gated"
    elif isinstance(error, ValueError):
        remedy = "choose with org/name?config=...&split=..."
    else:
        cached = ", ".join(list_cached_repos("dataset"))
        use = "use one of these or a file" if cached else "use a file"
        remedy = f"in the hub's cache: {cached or 'nothing'}; {use}, or try again with a connection"
    return f"{spec}: cannot load this data set: {first_line}; {remedy}"


@contextmanager
def _hide_progress_bars() -> Iterator[None]:
    """Switch off the progress bars of `datasets` and the hub, and on again if they were on."""
    import datasets
    from huggingface_hub import utils as hub

    libraries: list[Any] = [
        library for library in (datasets, hub) if not library.are_progress_bars_disabled()
    ]
    for library in libraries:
        library.disable_progress_bars()
    try:
        yield
    finally:
        for library in libraries:
            library.enable_progress_bars()


def fetch_remote_files(spec: str) -> list[DataFile]:
    """Bring the files behind an address to this disk; one that has not changed is not fetched again.

    Args:
        spec: an address such as `s3://bucket/folder/*.jsonl`; one that ends in `/` means a folder.

    Raises:
        SourceError: an unknown scheme, no such file, or no access.
        MissingDependencyError: the library that opens this kind of address is not installed.
    """
    system, paths = _list_remote(spec)
    return [_fetch(system, path, named="*" not in spec) for path in paths]


def open_remote_files(spec: str) -> list[DataFile]:
    """Find the files behind an address, to be read from there whenever they are opened.

    Args:
        spec: as for `fetch_remote_files`.

    Raises:
        SourceError: an unknown scheme, no such file, or no access.
        MissingDependencyError: the library that opens this kind of address is not installed.
    """
    system, paths = _list_remote(spec)
    files = []
    for path in paths:
        address = hide_secrets(str(system.unstrip_protocol(path))).partition("?")[0]
        place = cast(
            Path, RemotePath(system, path, PurePosixPath(address).name)
        )  # all that readers ask of it
        files.append(make_data_file(place, address, named="*" not in spec))
    return files


def _list_remote(spec: str) -> tuple[Any, list[str]]:
    system, path = open_remote(spec)
    try:
        if "*" in path:
            paths = sorted(system.glob(path))
        else:
            paths = sorted(system.ls(path, detail=False)) if spec.endswith("/") else [path]
    except Exception as error:
        raise make_remote_error(spec, error) from error
    if not paths:
        raise SourceError(f"{hide_secrets(spec)}: no file matches; check the pattern")
    return system, paths


def _fetch(system: Any, path: str, *, named: bool) -> DataFile:
    """Copy one file into the cache unless its version is there."""
    address = str(system.unstrip_protocol(path))
    name = PurePosixPath(urlsplit(address).path if address.startswith("http") else address).name
    place = cache_folder() / "downloads" / hashlib.sha256(address.encode()).hexdigest()
    entry = place / "entry"
    with hold_lock(place):
        try:
            info = system.info(path)
            version = {key: str(value) for key, value in info.items()}
            if not (_tells_changes(version) and _read_version(entry) == version):
                logger.info("downloading %s", hide_secrets(address))
                with write_aside(entry) as folder:
                    system.get_file(path, str(folder / name))
                    _check_size(hide_secrets(address), folder / name, info.get("size"))
                    (folder / ".version.json").write_text(json.dumps(version), encoding="utf-8")
        except Exception as error:
            raise make_remote_error(address, error) from error
    return make_data_file(entry / name, hide_secrets(address).partition("?")[0], named=named)


def _tells_changes(version: dict[str, str]) -> bool:
    """Tell whether a changed file would show in what the driver says of it; a size alone would not."""
    return any(key.lower().replace("-", "").replace("_", "") in _VERSION_KEYS for key in version)


def _read_version(entry: Path) -> dict[str, str] | None:
    try:
        version: dict[str, str] = json.loads((entry / ".version.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return version


def _check_size(address: str, path: Path, num_bytes: Any) -> None:
    """Check that a file arrived whole, where its size was told before."""
    found = path.stat().st_size
    if isinstance(num_bytes, int) and found != num_bytes:
        raise SourceError(
            f"{address}: the transfer ended too early: {found:,} of {num_bytes:,} bytes; try again"
        )
