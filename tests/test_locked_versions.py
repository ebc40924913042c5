"""The list with hashes holds what constraints.txt says, for all that ftkit needs."""

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


def read_pins(name: str) -> dict[str, str]:
    return {canonicalize_name(each): version for each, version in PIN.findall((ROOT / name).read_text())}


def test_the_versions_are_those_of_the_constraints():
    known = read_pins("constraints.txt")
    locked = {
        name: version for name, version in read_pins("requirements.lock").items() if name != "setuptools"
    }
    assert locked == {name: known[name] for name in locked}


def test_every_dependency_is_there_with_a_version_that_it_admits():
    locked = read_pins("requirements.lock")
    for requirement in map(Requirement, requires("ftkit") or []):
        if requirement.marker is None:  # else it is of an extra
            assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])


def test_every_version_has_the_hash_of_a_file():
    entries = re.split(r"\n(?=\w)", (ROOT / "requirements.lock").read_text())[1:]
    assert len(entries) == len(read_pins("requirements.lock")) > 50
    assert all(
        re.fullmatch(r"[\w.-]+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+\n?", each) for each in entries
    )
