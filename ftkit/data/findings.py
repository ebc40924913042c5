"""What was found out by reading all rows, kept beside them: a second run does not read them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ftkit.data.cache_entries import find_or_make_entry
from ftkit.data.rows import Rows

FINDING_FILE = "finding.json"


def remember(rows: Rows, name: str, find: Callable[[], Any], *, key: Mapping[str, Any]) -> Any:
    """Find something out about rows, or read what was found out about the same rows before.

    Args:
        rows: what `find` reads; of rows in memory nothing is kept.
        name: what is found out, such as `labels`.
        find: returns a JSON value; what it raises is raised, and nothing is kept.
        key: whatever else the finding depends on, as JSON values: settings, and the version of the code.
    """
    if rows.storage.path is None:
        return find()
    content = json.dumps({"name": name, "rows": rows.fingerprint, **key}, sort_keys=True, ensure_ascii=False)

    def make(folder: Path) -> None:
        finding = {"key": json.loads(content), "found": find()}
        (folder / FINDING_FILE).write_text(json.dumps(finding, ensure_ascii=False), encoding="utf-8")

    digest = hashlib.sha256(content.encode()).hexdigest()
    return find_or_make_entry("findings", digest, make, _read_finding)["found"]


def _read_finding(folder: Path) -> dict[str, Any]:
    finding: dict[str, Any] = json.loads((folder / FINDING_FILE).read_text(encoding="utf-8"))
    if "found" not in finding:
        raise ValueError("no finding in it")
    return finding
