"""A script for a process of its own: fetch a package's source archive as a file, running none of it.

Called as `python sdist_script.py NAME VERSION FOLDER`. It uses pip's finder and session, and thereby
the user's index, credentials, proxy and certificates. The names it needs from inside pip have been
there from pip 20 to pip 26. It imports nothing of ftkit.
"""

import hashlib
import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".tar")


def main(name: str, version: str, folder: str) -> None:
    """Fetch the archive and print one line of JSON.

    It has `file` (null when there is none), the `versions` that there are, and as `trouble` what kept
    pip from reading an index.
    """
    trouble = listen_for_trouble()
    command = importlib.import_module("pip._internal.commands").create_command("download")
    parse_version = importlib.import_module("pip._vendor.packaging.version").parse
    options, _ = command.parse_args(["--no-input", "--no-deps", f"{name}=={version}"])
    session = command._build_session(options)  # noqa: SLF001 - pip has no public door to this
    finder = command._build_package_finder(options, session, ignore_requires_python=True)  # noqa: SLF001
    candidates = finder.find_all_candidates(name)
    wanted = [
        candidate.link
        for candidate in candidates
        if candidate.version == parse_version(version) and candidate.link.filename.endswith(_SUFFIXES)
    ]
    versions = [str(found) for found in sorted({candidate.version for candidate in candidates})]
    file = fetch(session, wanted[0], Path(folder)) if wanted else None
    sys.stdout.write(json.dumps({"file": file, "versions": versions, "trouble": trouble}) + "\n")


def listen_for_trouble() -> list[str]:
    """Collect what pip notes at its lowest level only: that it could not reach an index."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if message.startswith("Could not fetch URL") and "404" not in message:
                trouble.append(message)

    trouble: list[str] = []
    logger = logging.getLogger("pip")
    logger.addHandler(Listener())
    logger.setLevel(logging.DEBUG)
    return trouble


def fetch(session: Any, link: Any, folder: Path) -> str:
    """Download one file and check it against the hash that the index gives."""
    response = session.get(link.url_without_fragment, headers={"Accept-Encoding": "identity"}, stream=True)
    response.raise_for_status()
    target = folder / Path(link.filename).name
    digest = hashlib.new(link.hash_name or "sha256")
    with target.open("xb") as sink:
        for chunk in response.iter_content(1 << 20):
            digest.update(chunk)
            sink.write(chunk)
    if link.hash and digest.hexdigest() != link.hash:
        target.unlink()
        raise SystemExit(f"ERROR: {link.filename} arrived damaged: its hash is not the index's")
    return str(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
