"""The story of a verification: repeat some steps of a run, and compare with what it recorded."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ftkit.errors import RunError
from ftkit.inference import Run
from ftkit.pipeline.readying import make_ready
from ftkit.pipeline.starting import list_fingerprints, list_versions
from ftkit.pipeline.tuning import train_base
from ftkit.recipe import ParallelSection, Recipe, load_recipe
from ftkit.runs import RunFolder, list_checkpoints, read_json_lines, read_saved_run
from ftkit.runs.checkpoint_folders import find_damage
from ftkit.training.sharding import SHARDS

COMPARED = ("loss", "grad_norm", "learning_rate", "num_tokens")
"""What of a line of the log must be the same, beside the scores of evaluations."""


@dataclass(frozen=True)
class Difference:
    """A number that the repetition did not give again."""

    step: int
    name: str
    recorded: float | None
    repeated: float | None


@dataclass(frozen=True)
class Verification:
    """What the repetition of some steps came to."""

    run: str
    first: int
    """The step after which the repetition began; 0 for the start of the run."""
    last: int
    num_values: int
    """Numbers of the log that were compared."""
    differences: tuple[Difference, ...]
    num_tensors: int
    """Tensors of the last checkpoint that were compared; 0 where the run has none of that step."""
    num_other_tensors: int
    largest_change: float
    """The largest difference of a weight."""
    notes: tuple[str, ...]
    """What is different about this repetition, and may be the reason."""

    @property
    def is_same(self) -> bool:
        """Whether all that was compared is the same, bit for bit."""
        return not self.differences and not self.num_other_tensors

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "is_same": self.is_same}

    def __str__(self) -> str:
        start = f"checkpoint-{self.first}" if self.first else "the start"
        lines = [f"{self.run}: steps {self.first + 1} to {self.last}, repeated from {start}"]
        same = "all the same" if not self.differences else f"{len(self.differences)} differ"
        lines.append(f"log      {self.num_values} numbers compared, {same}")
        lines += [
            f"         step {each.step}: {each.name} {each.recorded} -> {each.repeated}"
            for each in self.differences[:5]
        ]
        if self.num_tensors:
            changed = f"{self.num_other_tensors} differ, by up to {self.largest_change:.3g}"
            same = changed if self.num_other_tensors else "all the same"
            lines.append(f"weights  {self.num_tensors} tensors of checkpoint-{self.last} compared, {same}")
        else:
            lines.append(f"weights  not compared: the run has no whole ones of step {self.last}")
        lines += [f"note     {note}" for note in self.notes]
        lines += ["", "the same, bit for bit" if self.is_same else "not the same"]
        return "\n".join(lines)


def verify_run(
    run: str | os.PathLike[str] | Run,
    *,
    first: int | None = None,
    num_steps: int | None = None,
    allow: bool = False,
) -> Verification:
    """Repeat a stretch of a run from one of its checkpoints, and say whether it comes out the same.

    The run is read and not written; the repetition lies in a temporary folder.

    Args:
        run: a run or its folder, finished or not.
        first: the step of the checkpoint to begin with, or 0 for the start; None for the last but one.
        num_steps: how many steps to repeat; None for all up to the next checkpoint.
        allow: whether the run's recipe may name code to run.

    Raises:
        RunError: there is nothing to repeat, or what the run was made of is not there any more.
    """
    folder = run.folder if isinstance(run, Run) else read_saved_run(run, finished=False).folder
    saved = read_saved_run(folder.path, finished=False)
    first, last = choose_stretch(folder, first=first, num_steps=num_steps, log=saved.log)
    with tempfile.TemporaryDirectory(prefix="ftkit-verify-") as place:
        repeated = RunFolder(Path(place) / "run")
        recipe = load_recipe(folder.recipe, allow=allow)
        repeat(folder, recipe, repeated, saved.info, first=first, last=last)
        log = [line for line in read_json_lines(repeated.metrics) if isinstance(line, dict)]
        values, differences = compare_logs(saved.log, log, first=first, last=last)
        name = f"checkpoint-{last}"
        num, others, change = compare_weights(folder.checkpoints / name, repeated.checkpoints / name)
    return Verification(
        run=str(folder.path),
        first=first,
        last=last,
        num_values=values,
        differences=tuple(differences),
        num_tensors=num,
        num_other_tensors=others,
        largest_change=change,
        notes=tuple(list_notes(saved.info)),
    )


def choose_stretch(
    folder: RunFolder, *, first: int | None, num_steps: int | None, log: Sequence[Mapping[str, Any]]
) -> tuple[int, int]:
    """Choose the steps to repeat: by default those between the last two checkpoints there are.

    Returns:
        The step that is there already, 0 for the start, and the last one to repeat.
    """
    steps = [int(path.name.removeprefix("checkpoint-")) for path in list_checkpoints(folder.checkpoints)]
    known = [0, *steps]
    if first is None:
        first = known[-2] if steps and num_steps is None else known[-1]
        if first == known[-1] and num_steps is None:
            raise RunError(f"{folder.path}: cannot be verified: it has no checkpoint yet")
    if first not in known:
        shown = ", ".join(map(str, known))
        raise RunError(
            f"{folder.path}: has no checkpoint of step {first}; there are {shown} (0 is the start)"
        )
    recorded = max([0, *steps, *(int(line["step"]) for line in log)])
    if first == recorded:
        raise RunError(
            f"{folder.path}: nothing is recorded after step {first}; begin with an earlier checkpoint"
        )
    later = [step for step in known if step > first]
    last = first + num_steps if num_steps is not None else (later or [recorded])[0]
    if last > recorded:
        raise RunError(
            f"{folder.path}: steps {first + 1} to {last} cannot be compared: the run has recorded {recorded} "
            "steps; repeat fewer"
        )
    return first, last


def repeat(
    folder: RunFolder, recipe: Recipe, repeated: RunFolder, info: Mapping[str, Any], *, first: int, last: int
) -> None:
    """Train the steps again, in a folder aside that has the first checkpoint alone."""
    repeated.checkpoints.mkdir(parents=True)
    if first:
        checkpoint = folder.checkpoints / f"checkpoint-{first}"
        _check_checkpoint(checkpoint)
        os.symlink(checkpoint.resolve(), repeated.checkpoints / checkpoint.name, target_is_directory=True)
    ready = make_ready(recipe)
    before, found = info.get("fingerprints", {}), list_fingerprints(ready.splits, ready.base)
    changed = [name for name, value in found.items() if before.get(name) != value]
    if changed:
        raise RunError(
            f"{folder.path}: cannot be repeated: {', '.join(changed)} changed since it began; put the old "
            "files back"
        )
    train_base(
        _make_plain(recipe),
        ready.task,
        ready.base,
        ready.splits,
        repeated,
        ready.metrics,
        ready.best_metric,
        ready.label_counts,
        mixture=ready.mixture,
        last_step=last,
    )


def _check_checkpoint(checkpoint: Path) -> None:
    damage = find_damage(checkpoint)
    if damage is not None:
        raise RunError(f"{checkpoint}: damaged ({damage}); begin with another one")
    if (checkpoint / SHARDS).is_dir():
        raise RunError(
            f"{checkpoint}: holds shards of a model (FSDP), and verify runs in one process; only runs "
            "without shards can be verified"
        )


def _make_plain(recipe: Recipe) -> Recipe:
    """Keep the repetition from writing more than its last step, from trackers, and in one process."""
    training = recipe.training.model_copy(update={"checkpoint_every": "never", "report_to": []})
    return recipe.model_copy(update={"training": training, "parallel": ParallelSection()})


def compare_logs(
    recorded: Sequence[Mapping[str, Any]], repeated: Sequence[Mapping[str, Any]], *, first: int, last: int
) -> tuple[int, list[Difference]]:
    """Compare the numbers of two logs between two steps.

    Returns:
        How many were compared, and those that differ.
    """
    old, new = (_list_values(log, first, last) for log in (recorded, repeated))
    differences = [
        Difference(*key, old.get(key), new.get(key))
        for key in sorted({**old, **new})
        if old.get(key) != new.get(key)
    ]
    return len({**old, **new}), differences


def _list_values(log: Sequence[Mapping[str, Any]], first: int, last: int) -> dict[tuple[int, str], float]:
    return {
        (int(line["step"]), name): value
        for line in log
        if first < int(line["step"]) <= last
        for name, value in line.items()
        if name in COMPARED or name.startswith("eval_")
    }


def compare_weights(recorded: Path, repeated: Path) -> tuple[int, int, float]:
    """Compare the weights of two checkpoints, an adapter's alone where they hold one.

    Returns:
        How many tensors were compared, how many differ, and the largest difference; 0 where the first
        checkpoint is not there.
    """
    from safetensors.torch import load_file

    count, others, largest = 0, 0, 0.0
    for path in sorted(recorded.glob("*.safetensors")):
        old, new = load_file(path), load_file(repeated / path.name)
        for name in {**old, **new}:
            count += 1
            if name not in old or name not in new or old[name].shape != new[name].shape:
                others, largest = others + 1, float("inf")
            elif not bool((old[name] == new[name]).all()):
                others += 1
                largest = max(largest, float((old[name].float() - new[name].float()).abs().max()))
    return count, others, largest


def list_notes(info: Mapping[str, Any]) -> list[str]:
    """Say what is different now from when the run was made: versions, and the number of processes."""
    then, now = info.get("versions", {}), list_versions()
    changed = [
        f"{name} {then[name]} -> {now[name]}" for name in now if then.get(name, now[name]) != now[name]
    ]
    notes = [f"other versions: {', '.join(changed)}"] if changed else []
    number = info.get("num_processes", 1)
    if number != 1:
        notes.append(f"the run had {number} processes, whose sums have another order than those of one")
    return notes
