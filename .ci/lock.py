"""Write requirements.lock: what ftkit needs, each version with the hashes of all its files.

    python .ci/lock.py          # in an environment made with constraints.txt; asks the package index

`pip install --require-hashes -r requirements.lock` then takes these files and no others. torch's build for
CPUs, which is not on PyPI, is taken from pip's `find-links` folder; the one on PyPI needs CUDA's packages.
"""

import hashlib
import json
import os
import re
import urllib.request
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = """\
# What ftkit needs on Linux x86-64 with Python 3.11 and torch for CPUs, with hashes (python .ci/lock.py):
#   pip install --require-hashes --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.lock
#   pip install --no-deps .
"""


def read_pins() -> dict[str, str]:
    """Return the versions of constraints.txt, by name."""
    lines = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def list_needed(name: str, extra: str, found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Collect what a package, with one of its extras or none (""), needs here, and what that needs."""
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        needed = canonicalize_name(requirement.name)
        for each in {(needed, ""), *((needed, wanted) for wanted in requirement.extras)} - found:
            found.add(each)
            list_needed(*each, found)
    return found


def list_hashes(name: str, version: str) -> list[str]:
    """Ask the index for the files of a version; yanked ones are left out."""
    address = f"https://pypi.org/simple/{name}/"
    request = urllib.request.Request(address, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    start = re.compile(
        rf"{re.sub('[-_.]', '[-_.]+', name)}-{re.escape(version)}(-|\.tar|\.zip)", re.IGNORECASE
    )
    local = [
        hashlib.sha256(wheel.read_bytes()).hexdigest()
        for folder in os.environ.get("PIP_FIND_LINKS", "").split()
        for wheel in Path(folder).glob(f"{name.replace('-', '_')}-{version}*.whl")
    ]
    return local or sorted(
        each["hashes"]["sha256"] for each in files if start.match(each["filename"]) and not each["yanked"]
    )


def main() -> None:
    """Write the file."""
    pins = read_pins()
    lines = []
    for name in sorted({name for name, _ in list_needed("ftkit", "", set())}):
        pinned = pins.get(name, distribution(name).version)  # setuptools comes with the environment
        hashes = [f"    --hash=sha256:{each}" for each in list_hashes(name, pinned)]
        lines.append(" \\\n".join([f"{name}=={pinned}", *hashes]))
    LOCK.write_text(HEADER + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
