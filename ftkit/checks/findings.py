"""What was found, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ftkit.errors import CheckError

Severity = Literal["note", "warning", "error"]

SUBJECTS = (
    *("libraries", "device", "cache", "hub", "index"),
    *("recipe", "source", "data", "labels", "model", "tokenizer", "template", "supervision"),
    *("adapter", "metric", "schedule", "precision", "memory", "time", "disk", "training"),
)
"""What findings are about, in the order in which they are shown."""

READY, WARNED, REFUSED = "ready", "ready with warnings", "will not do"
FORCE_HINT = "--force (force=True in a notebook) starts all the same"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    """One of `SUBJECTS`."""
    severity: Severity
    """`note`: as it should be; `warning`: worth a look; `error`: the run would be useless."""
    message: str
    """For people: what is wrong, what was found, what to do."""


@dataclass(frozen=True)
class Piece:
    """Neighbouring tokens of an example that either all carry loss or all do not."""

    text: str
    has_loss: bool
    label: str = ""
    """What is learned there, where it is not the text itself."""


@dataclass(frozen=True)
class ShownExample:
    """An example as it will be trained, to look at."""

    source: str
    """File and line of its row."""
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Check:
    """All that was found out about a run before its first step."""

    name: str
    """The recipe's file, or `recipe` for one of a notebook."""
    findings: tuple[Finding, ...]
    supervision: tuple[dict[str, Any], ...] = ()
    """What of each split carries loss, in numbers."""
    shown: tuple[ShownExample, ...] = ()
    """Some training examples, with what carries loss."""
    forced: bool = False
    """Whether the run was started all the same."""

    @property
    def verdict(self) -> str:
        """`ready`, `ready with warnings` or `will not do`."""
        severities = {finding.severity for finding in self.findings}
        return REFUSED if "error" in severities else WARNED if "warning" in severities else READY

    def select(self, *severities: Severity) -> list[Finding]:
        """Take the findings of some severities, in order of their subjects."""
        chosen = [finding for finding in self.findings if finding.severity in severities]
        return sorted(chosen, key=lambda finding: SUBJECTS.index(finding.subject))

    def raise_if_refused(self) -> None:
        """Stop a run that would be useless.

        Raises:
            CheckError: lists every finding that stops it.
        """
        if self.verdict == REFUSED and not self.forced:
            listed = "\n".join(f"{each.subject}: {each.message}" for each in self.select("error"))
            raise CheckError(f"{self.name}: {REFUSED}\n{listed}\nMend this first; {FORCE_HINT}")

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values, for run.json, the report and `--json`."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "forced": self.forced,
            "findings": [asdict(finding) for finding in self.select("note", "warning", "error")],
            "supervision": list(self.supervision),
            "shown": [asdict(example) for example in self.shown],
        }

    def __str__(self) -> str:
        from ftkit.checks.showing import write_text

        return write_text(self)

    def _repr_html_(self) -> str:
        from ftkit.checks.showing import write_html

        return write_html(self)


def judge_share(
    subject: str, number: int, total: int, limit: float, setting: str, what: str, remedy: str
) -> list[Finding]:
    """Compare a share with the largest one that a recipe admits; a warning from a tenth of that on.

    Args:
        subject: what the finding is about.
        number: how many are wrong.
        total: out of how many.
        limit: the setting, from 0 to 1.
        setting: its name.
        what: what is wrong with them, such as `answers are cut`.
        remedy: what to do, without a full stop.
    """
    share = number / total if total else 0.0
    if not number or share < limit / 10:
        return []
    bound = f", and {setting} admits {100 * limit:.3g} %" if share > limit else ""
    message = f"{number:,} of {total:,} {what} ({100 * share:.3g} %){bound}; {remedy}"
    return [Finding(subject, "error" if share > limit else "warning", message)]


def join_some(names: Sequence[str], most: int = 5) -> str:
    """List names, the first few of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
