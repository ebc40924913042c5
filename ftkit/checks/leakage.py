"""Training rows that repeat held-out rows: what `data.leakage` found, as a finding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ftkit.checks.findings import Finding

if TYPE_CHECKING:
    from ftkit.data import Leakage


def check_leakage(leakage: Leakage) -> Iterator[Finding]:
    """Say how many training rows repeat held-out ones, and whether they are trained on.

    Args:
        leakage: what the gate found; `error` has stopped the run already.
    """
    number, total = len(leakage.matches), len(leakage.train)
    if not number:
        yield Finding("data", "note", f"none of {total:,} training rows repeats a held-out row")
        return
    found = f"{number:,} of {total:,} training rows repeat held-out rows ({leakage.num_exact:,} exactly)"
    if leakage.settings.action == "allow":
        message = f"{found} and are trained on, so that the scores are too good; set data.leakage: drop"
        yield Finding("data", "warning", message)
    else:
        yield Finding("data", "note", f"{found} and are left out of training")
