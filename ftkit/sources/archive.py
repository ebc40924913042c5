"""Unpack some files of a wheel or source archive so that nothing lands outside the folder."""

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ftkit.errors import SourceError

_MOST_INFLATION = 200  # weights and text shrink 20-fold at most; a bomb 1,000-fold
_ALWAYS_FINE_BYTES = 100_000_000


@dataclass(frozen=True)
class Member:
    """One entry of an archive that is no folder.

    Attributes:
        name: as the archive spells it.
        num_bytes: size when unpacked.
        problem: why it must not be unpacked, if so.
    """

    name: str
    num_bytes: int
    problem: str | None


@dataclass(frozen=True)
class Archive:
    """An open wheel or source archive.

    Attributes:
        path: the file.
        members: by the path that users write: source archives without their one top folder.
        open_member: opens one by the name that the archive gives it.
    """

    path: Path
    members: Mapping[str, Member]
    open_member: Callable[[str], IO[bytes]]

    @property
    def names(self) -> list[str]:
        """The paths of all files, as users write them."""
        return list(self.members)

    def find(self, path: str) -> dict[str, Member]:
        """Find the file of that path, or all files of the folder of that path."""
        if path in self.members:
            return {path: self.members[path]}
        return {name: member for name, member in self.members.items() if name.startswith(f"{path}/")}


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a wheel, zip or tar archive.

    Raises:
        SourceError: the file is none of these, or damaged.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as opened:
                members = [_check_zip_member(info) for info in opened.infolist() if not info.is_dir()]
                yield Archive(path, _name_members(members), opened.open)
        else:
            with tarfile.open(path) as tar:
                members = [_check_tar_member(info) for info in tar.getmembers() if not info.isdir()]
                yield Archive(path, _name_members(members), lambda name: _open_tar_member(tar, name))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise SourceError(
            f"{path}: not a readable archive; {error}; delete {path.parent} to fetch it again"
        ) from error


def unpack(archive: Archive, members: Mapping[str, Member], folder: Path) -> None:
    """Write files of an archive into a folder, under the paths that users write.

    Raises:
        SourceError: one of them is a link, climbs out of the folder, or inflates beyond reason.
    """
    for name, member in members.items():
        if member.problem:
            raise SourceError(f"{archive.path.name}: refused to unpack '{name}': it {member.problem}")
    _check_size(archive, sum(member.num_bytes for member in members.values()), folder)
    for name, member in members.items():
        target = folder / PurePosixPath(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open_member(member.name) as source, target.open("xb") as sink:
            shutil.copyfileobj(source, sink, length=1 << 20)


def _check_size(archive: Archive, num_bytes: int, folder: Path) -> None:
    most = max(_ALWAYS_FINE_BYTES, _MOST_INFLATION * archive.path.stat().st_size)
    if num_bytes > most:
        raise SourceError(f"{archive.path.name}: would unpack to {num_bytes:,} bytes; refused as an attack")
    if num_bytes > (free := shutil.disk_usage(folder).free):
        raise SourceError(
            f"{folder}: the disk is too full to unpack {archive.path.name}; {free:,} bytes are free, "
            f"{num_bytes:,} are needed; free some, or set FTKIT_CACHE to another disk"
        )


def _check_zip_member(info: zipfile.ZipInfo) -> Member:
    mode = info.external_attr >> 16
    is_file = stat.S_IFMT(mode) in (0, stat.S_IFREG)
    return Member(info.filename, info.file_size, _find_problem(info.filename, is_file=is_file))


def _check_tar_member(info: tarfile.TarInfo) -> Member:
    return Member(info.name, info.size, _find_problem(info.name, is_file=info.isreg()))


def _find_problem(name: str, *, is_file: bool) -> str | None:
    if not is_file:
        return "is a link or a device"
    if "\\" in name or ":" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        return "climbs out of the folder"
    return None


def _name_members(members: list[Member]) -> dict[str, Member]:
    """Name members by their paths, without the top folder that a source archive puts around all."""
    tops = {PurePosixPath(member.name).parts[0] for member in members if not member.problem}
    is_sdist = len(tops) == 1 and any(PurePosixPath(member.name).name == "PKG-INFO" for member in members)
    named = {}
    for member in members:
        parts = PurePosixPath(member.name).parts[is_sdist:]
        named["/".join(parts)] = member
    return named


def _open_tar_member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    opened = tar.extractfile(name)
    if opened is None:
        raise SourceError(f"{tar.name!s}: '{name}' is no file")
    return opened
