"""Trackers get the curves and the end of a run; one that is lost does not stop it."""

import json
import logging
import sys
from types import SimpleNamespace

import pytest

import ftkit
from ftkit.training.trackers import TrackerGuard

MAILS = [{"text": f"free money {number}", "label": ("ham", "spam")[number % 2]} for number in range(16)]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def finetune(tiny_bert, tmp_path):
    def run(*trackers):
        return ftkit.finetune(
            task="text-classification",
            model=str(tiny_bert),
            data={"train": MAILS, "validation": None, "test": MAILS, "max_tokens": 16},
            training={"max_steps": 2, "log_every": 1, "report_to": list(trackers), "precision": "float32",
                      "arguments": {"use_cpu": True}},
            output_dir=str(tmp_path / "run"),
        )  # fmt: skip

    return run


def test_tensorboard_gets_curves_scores_and_the_verdict(finetune):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = finetune("tensorboard")
    events = EventAccumulator(str(run.folder.path / "tensorboard"))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {"train/loss", "train/tokens_per_second", "train/peak_memory_gb", "train/grad_norm"} <= scalars
    assert events.Scalars("test/tuned_macro_f1")[0].value == pytest.approx(
        run.report["scores"]["tuned"]["macro_f1"]
    )
    assert {"test/base_accuracy", "test/majority_accuracy", "test/change_accuracy"} <= scalars
    text = events.Tensors("verdict/text_summary")[0].tensor_proto.string_val[0].decode()
    assert run.report["comparisons"][0]["sentence"] in text


def test_mlflow_gets_curves_scores_the_verdict_and_the_page(finetune, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    try:
        run = finetune("mlflow")
        client = mlflow.MlflowClient()
        found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
        assert len(found) == 1
        assert found[0].info.status == "FINISHED"
        metrics = found[0].data.metrics
        assert metrics["test_tuned_macro_f1"] == pytest.approx(run.report["scores"]["tuned"]["macro_f1"])
        assert {"loss", "grad_norm", "test_base_loss", "test_change_loss"} <= metrics.keys()
        assert run.report["comparisons"][0]["sentence"] in found[0].data.tags["verdict"]
        assert [file.path for file in client.list_artifacts(found[0].info.run_id)] == ["report.html"]
    finally:
        mlflow.set_tracking_uri(None)


def test_a_tracker_that_is_lost_is_named_once_and_the_run_goes_on(finetune, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "file" / "events"))
    with caplog.at_level(logging.WARNING):
        run = finetune("tensorboard")
    assert run.info["status"] == "finished"
    lost = [record.message for record in caplog.records if "is lost" in record.message]
    assert len(lost) == 1
    assert lost[0].startswith("tensorboard is lost: ")
    assert lost[0].endswith("; the run goes on without it")


class Tracker:
    """Notes what it is told, and breaks at an event."""

    def __init__(self, breaks_at=None):
        self.breaks_at, self.told = breaks_at, []
        self.setting = 7

    def _note(self, event, options):
        if event == self.breaks_at:
            raise ConnectionError("no server\nand a long story")
        self.told.append((event, options.get("logs")))

    def on_log(self, *arguments, **options):
        self._note("on_log", options)

    def on_train_end(self, *arguments, **options):
        self._note("on_train_end", options)


def test_the_end_is_put_off_until_the_scores_are_sent(tmp_path):
    tracker = Tracker()
    guard = TrackerGuard("clearml", tracker)
    guard.on_log(1, 2, 3, logs={"loss": 1.0})
    guard.on_train_end(1, 2, 3, model=None)
    assert [event for event, _ in tracker.told] == ["on_log"]
    guard.send({"test_tuned_loss": 0.5}, "better", tmp_path)
    guard.finish()
    guard.finish()
    assert tracker.told == [
        ("on_log", {"loss": 1.0}), ("on_log", {"test_tuned_loss": 0.5}), ("on_train_end", None)
    ]  # fmt: skip
    assert guard.setting == 7


@pytest.mark.parametrize("event", ["on_log", "on_train_end"])
def test_after_its_first_failure_a_tracker_is_left_alone(event, tmp_path, caplog):
    tracker = Tracker(breaks_at=event)
    guard = TrackerGuard("mlflow", tracker)
    guard.on_log(logs={})
    guard.on_train_end(1, 2, 3)
    if event == "on_log":
        guard.send({}, "x", tmp_path)
    guard.finish()
    assert guard.is_lost
    assert [record.message for record in caplog.records] == [
        "mlflow is lost: no server; the run goes on without it"
    ]


def test_a_tracker_does_not_swallow_ctrl_c():
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    guard = TrackerGuard("wandb", SimpleNamespace(on_log=stop))
    with pytest.raises(KeyboardInterrupt):
        guard.on_log(1, 2, 3)


def test_wandb_gets_verdict_and_page(monkeypatch, tmp_path):
    logged, summary = [], {}
    fake = SimpleNamespace(
        run=SimpleNamespace(summary=summary), log=logged.append, Html=lambda text: ("html", text)
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    (tmp_path / "report.html").write_text("月")
    guard = TrackerGuard("wandb", Tracker())
    guard.on_train_end(1, 2, 3)
    guard.send({}, "better: loss", tmp_path / "report.html")
    assert not guard.is_lost
    assert summary == {"verdict": "better: loss"}
    assert logged == [{"report": ("html", "月")}]


def test_without_trackers_nothing_of_them_is_in_the_report(finetune):
    run = finetune()
    assert "trackers" not in json.dumps(run.report["training"])
    assert not (run.folder.path / "tensorboard").exists()
