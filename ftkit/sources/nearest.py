"""What somebody may have meant by a name that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

_MOST = 5
_CLOSE = 0.5


def find_nearest(name: str, known: Iterable[str], *, most: int = _MOST) -> list[str]:
    """Find the known names closest to a wrong one, best first; the first few when none is close."""
    names = sorted(set(known))
    by_lower = {known_name.lower(): known_name for known_name in names}
    close = get_close_matches(name.lower(), by_lower, n=most, cutoff=_CLOSE)
    return [by_lower[match] for match in close] or names[:most]


def find_nearest_paths(path: str, known: Iterable[str]) -> list[str]:
    """Find the known paths closest to a wrong one: the same last part elsewhere, else alike ones.

    Args:
        path: parts joined by `/`, as are those of `known`.
        known: files; their folders count as known too.
    """
    paths = {name for file in known for name in _with_parents(file)}
    last = PurePosixPath(path).name
    elsewhere = sorted(name for name in paths if PurePosixPath(name).name == last)
    return elsewhere[:_MOST] or find_nearest(path, paths)


def describe_folder(path: Path) -> str:
    """Say what there is near a path that does not exist, as the end of an error message."""
    folder = path.parent
    while not folder.is_dir():
        folder = folder.parent
    missing = path.relative_to(folder).parts[0]
    names = [entry.name + "/" * entry.is_dir() for entry in folder.iterdir() if entry.name[0] != "."]
    if not names:
        return f"the folder {folder} is empty"
    return f"the folder {folder} has " + ", ".join(find_nearest(missing, names))


def _with_parents(file: str) -> list[str]:
    return [file, *(str(parent) for parent in PurePosixPath(file).parents if str(parent) != ".")]
