"""What a model is scored on beside its own held-out rows: further data sets and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftkit.evaluation.forgetting import OtherRows, encode_others, list_others, load_others, score_others
from ftkit.evaluation.harness import Answers, ask_harness, check_harness, list_harness

if TYPE_CHECKING:
    from ftkit.evaluation.scoring import Scored
    from ftkit.models import Checkpoint
    from ftkit.recipe import Recipe
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split


@dataclass
class FurtherScores:
    """Further data sets and benchmarks, and how models did on them so far."""

    recipe: Recipe
    task: Task
    others: list[OtherRows]
    splits: dict[str, Split] = field(default_factory=dict)
    scored: dict[str, Mapping[str, Scored]] = field(default_factory=dict)
    answers: dict[str, Sequence[Answers]] = field(default_factory=dict)

    def score(self, who: str, checkpoint: Checkpoint) -> None:
        """Score one model on all of them."""
        evaluation = self.recipe.evaluation
        if self.others:
            self.splits = encode_others(self.others, checkpoint)
            self.scored[who] = score_others(self.others, self.splits, checkpoint, evaluation)
        if evaluation.harness.tasks:
            self.answers[who] = ask_harness(checkpoint, self.task, evaluation.harness)

    def list_found(self) -> dict[str, Any]:
        """Return `also`, `harness` and `warnings`, as `contents.Report` has them, where asked for."""
        seed, evaluation = self.recipe.training.seed, self.recipe.evaluation
        also = list_others(self.others, self.splits, self.scored, seed=seed, group=evaluation.group)
        harness = list_harness(self.answers, evaluation.harness, seed=seed)
        warnings = [*also.get("warnings", ()), *harness.get("warnings", ())]
        return {**also, **harness, "warnings": warnings}


def add_further(report: Mapping[str, Any], further: FurtherScores) -> dict[str, Any]:
    """Add to a report what was found on further data sets and benchmarks."""
    found = further.list_found()
    return {**report, **found, "warnings": [*report["warnings"], *found["warnings"]]}


def open_further(recipe: Recipe, task: Task, labels: Sequence[str]) -> FurtherScores:
    """Load the further data sets and look for the benchmarks, before any model is loaded.

    Raises:
        FtkitError: rows that cannot be read, or benchmarks that there are not.
    """
    check_harness(recipe.evaluation.harness, task)
    return FurtherScores(recipe, task, load_others(recipe, task, labels))
