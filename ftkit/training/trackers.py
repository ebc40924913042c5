"""What `Trainer` reports to: kept from stopping a run, and told at the end how it came out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.runs import is_main_process, read_json

if TYPE_CHECKING:
    from transformers import Trainer

    from ftkit.runs import RunFolder

logger = logging.getLogger(__name__)


class TrackerGuard:
    """Stands between `Trainer` and the callback of a tracker.

    A tracker that fails (its server is down, its disk is full) is said to be lost, once, and left out from
    then on. Its end is put off until `finish`, so that it gets the final scores as well.
    """

    def __init__(self, name: str, tracker: Any) -> None:
        self.name = name
        self.tracker = tracker
        self.is_lost = False
        self._end: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def __getattr__(self, event: str) -> Any:
        found = getattr(self.tracker, event)
        return partial(self._call, found) if event.startswith("on_") else found

    def on_train_end(self, *arguments: Any, **options: Any) -> None:
        """Put the end off."""
        self._end = (arguments, options)

    def send(self, scores: Mapping[str, float], verdict: str, page: Path) -> None:
        """Send what the run came to.

        Args:
            scores: numbers by name; trackers put `test_` before a slash.
            verdict: in words.
            page: the report page, for trackers that keep files.
        """
        if self._end is None:
            return
        arguments, options = self._end
        self._call(self.tracker.on_log, *arguments, **{**options, "logs": dict(scores)})
        if self.name in _ATTACH:
            self._call(_ATTACH[self.name], self.tracker, verdict, page)

    def finish(self) -> None:
        """Let the tracker end as it does."""
        if self._end is not None:
            arguments, options = self._end
            self._call(self.tracker.on_train_end, *arguments, **options)
            self._end = None

    def _call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        if self.is_lost:
            return None
        try:
            return function(*arguments, **options)
        except Exception as error:
            self.is_lost = True
            reason = (str(error).splitlines() or [""])[0] or type(error).__name__
            logger.warning("%s is lost: %s; the run goes on without it", self.name, reason)
            return None


def guard_trackers(trainer: Trainer, folder: Path) -> tuple[TrackerGuard, ...]:
    """Put a guard before every tracker of a trainer.

    Args:
        trainer: before it trains.
        folder: where tensorboard writes, unless TENSORBOARD_LOGGING_DIR says otherwise.
    """
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    names = {kind: name for name, kind in INTEGRATION_TO_CALLBACK.items()}
    handler: Any = trainer.callback_handler
    guarded = [
        TrackerGuard(names[type(callback)], callback) if type(callback) in names else callback
        for callback in handler.callbacks
    ]
    handler.callbacks = guarded
    guards = tuple(callback for callback in guarded if isinstance(callback, TrackerGuard))
    for guard in guards:
        if guard.name == "tensorboard" and guard.tracker.logging_dir is None:
            guard.tracker.logging_dir = str(folder)
    return guards


def tell_trackers(guards: Sequence[TrackerGuard], folder: RunFolder) -> None:
    """Give trackers the scores of a finished run, and let them end.

    Args:
        guards: of `guard_trackers`, after training.
        folder: of the run, with report and page.
    """
    if guards and is_main_process():
        report = read_json(folder.evaluation / "report.json")
        sentences = [comparison["sentence"] for comparison in report["comparisons"]]
        for guard in guards:
            guard.send(list_final_scores(report), "; ".join(sentences) or "nothing to compare", folder.page)
    for guard in guards:
        guard.finish()


def list_final_scores(report: Mapping[str, Any]) -> dict[str, float]:
    """Name the scores of a report for trackers: `test_tuned_accuracy`, `test_change_low_accuracy`, ..."""
    scores = {
        f"test_{who}_{name}": value
        for who, found in report["scores"].items()
        for name, value in found.items()
    }
    for one in report["comparisons"]:
        for name, key in (("change", "difference"), ("change_low", "low"), ("change_high", "high")):
            if one[key] is not None:
                scores[f"test_{name}_{one['metric']}"] = one[key]
    return scores


def _attach_to_tensorboard(tracker: Any, verdict: str, page: Path) -> None:
    tracker.tb_writer.add_text("verdict", verdict)
    tracker.tb_writer.add_text("report", str(page))
    tracker.tb_writer.flush()


def _attach_to_mlflow(tracker: Any, verdict: str, page: Path) -> None:
    import mlflow

    mlflow.flush_async_logging()  # a thread writes the callback's numbers; half a file is an error
    mlflow.set_tag("verdict", verdict)
    mlflow.log_artifact(str(page))


def _attach_to_wandb(tracker: Any, verdict: str, page: Path) -> None:
    import wandb

    wandb.run.summary["verdict"] = verdict
    wandb.log({"report": wandb.Html(page.read_text(encoding="utf-8"))})


_ATTACH: dict[str, Callable[[Any, str, Path], None]] = {
    "tensorboard": _attach_to_tensorboard,
    "mlflow": _attach_to_mlflow,
    "wandb": _attach_to_wandb,
}
"""Trackers that keep words or files; the others get the numbers."""
