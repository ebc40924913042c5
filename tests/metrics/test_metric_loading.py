import math
import os
import subprocess
import sys

import evaluate
import pytest

from ftkit.errors import MetricError
from ftkit.metrics import METRICS, check_metrics, compute_metrics, describe_metrics, get_info, load_metric
from ftkit.metrics.selection import _load_other


@pytest.fixture(autouse=True)
def forget_loaded_metrics():
    _load_other.cache_clear()


class Loaded:
    """Stands for a metric of the hub."""

    def __init__(self, found):
        self.found = found

    def compute(self, *, predictions, references):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def serve(monkeypatch, found):
    monkeypatch.setattr(evaluate, "load", lambda name: Loaded(found))


def test_own_metrics_are_metrics_of_evaluate():
    metric = load_metric("macro_f1")
    assert isinstance(metric, evaluate.Metric)
    assert metric.name == "macro_f1"
    assert METRICS["macro_f1"].meaning in metric.description


def test_own_metrics_take_rows_batch_by_batch():
    metric = load_metric("accuracy")
    metric.add_batch(predictions=[0, 1], references=[0, 1])
    metric.add(prediction=1, reference=0)
    metric.add_batch(predictions=[1], references=[0])
    assert metric.compute() == {"accuracy": 0.5}


def test_own_metrics_can_be_used_again():
    metric = load_metric("accuracy")
    assert metric.compute(predictions=[0], references=[1]) == {"accuracy": 0.0}
    assert metric.compute(predictions=[1, 0], references=[1, 0]) == {"accuracy": 1.0}


def test_own_metrics_go_on_after_an_error():
    metric = load_metric("rmse")
    with pytest.raises(MetricError):
        metric.compute(predictions=[math.nan], references=[1.0])
    assert metric.compute(predictions=[2.0], references=[1.0]) == {"rmse": 1.0}


def test_own_metrics_combine_as_those_of_evaluate_do():
    both = evaluate.combine([load_metric("accuracy"), load_metric("macro_f1")])
    assert both.compute(predictions=[0, 1], references=[0, 1]) == {"accuracy": 1.0, "macro_f1": 1.0}


def test_own_metrics_take_labels_as_texts():
    assert load_metric("accuracy").compute(predictions=["ham"], references=["ham"]) == {"accuracy": 1.0}


def test_own_metrics_take_one_reference_or_several():
    metric = load_metric("exact_match")
    assert metric.compute(predictions=["好"], references=["好"]) == {"exact_match": 1.0}
    assert metric.compute(predictions=["好"], references=[["坏", "好"]]) == {"exact_match": 1.0}


def test_own_metrics_pass_options_on():
    texts = {"predictions": ["请打开设置文件"], "references": ["请打开设置文件夹"]}
    assert load_metric("bleu").compute(**texts, tokenize="13a") == {"bleu": 0.0}
    assert load_metric("bleu").compute(**texts)["bleu"] > 50


def test_own_metrics_refuse_probabilities_where_decisions_are_due():
    with pytest.raises(MetricError, match="apply a threshold first"):
        load_metric("multilabel_micro_f1").compute(predictions=[[0.7, 0.2]], references=[[1, 0]])
    with pytest.raises(MetricError, match="labels are all texts or all whole numbers"):
        load_metric("accuracy").compute(predictions=[0.7], references=[1])


def test_own_metrics_refuse_what_has_the_wrong_type():
    with pytest.raises(MetricError, match="chrf"):
        load_metric("chrf").compute(predictions=[3], references=["three"])


def test_own_metrics_need_both_sides():
    with pytest.raises(MetricError, match="accuracy: references are missing"):
        load_metric("accuracy").compute(predictions=[0])


def test_own_metrics_leave_no_folder_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    load_metric("accuracy").compute(predictions=[0], references=[1])
    assert list(tmp_path.iterdir()) == []


def test_a_metric_beyond_ours_comes_from_evaluate(monkeypatch):
    monkeypatch.setattr(evaluate, "load", lambda name: f"loaded {name}")
    assert load_metric("comet") == "loaded comet"


def test_a_metric_that_nobody_has_is_one_error_with_the_nearest_name(monkeypatch):
    def refuse(name):
        raise FileNotFoundError("Couldn't find a module script\nsecond line")

    monkeypatch.setattr(evaluate, "load", refuse)
    with pytest.raises(MetricError, match=r"'acuracy': neither .* here; did you mean accuracy\?") as caught:
        load_metric("acuracy")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.slow
def test_offline_a_metric_of_the_hub_is_one_error():
    code = (
        "from ftkit.errors import MetricError\n"
        "from ftkit.metrics import load_metric, score\n"
        "assert load_metric('accuracy').compute(predictions=[0], references=[0]) == {'accuracy': 1.0}\n"
        "try:\n    load_metric('bleurt')\n"
        "except MetricError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("metric 'bleurt': neither ftkit nor evaluate.load has it here; ")
    assert done.stdout.count("\n") == 1


def test_the_info_of_an_unknown_metric_is_an_error_with_the_nearest_name():
    with pytest.raises(MetricError, match=r"'ROUGEL': .*did you mean rougeL\?$"):
        get_info("ROUGEL")


def test_metrics_are_described_by_kind():
    assert [info.name for info in describe_metrics("counts")] == ["masked_accuracy"]
    assert describe_metrics() == list(METRICS.values())


def test_metrics_are_computed_by_name_in_the_order_given():
    found = compute_metrics(["macro_f1", "accuracy"], "labels", predictions=[0, 1], references=[0, 1])
    assert list(found.items()) == [("macro_f1", 1.0), ("accuracy", 1.0)]


def test_a_metric_that_scores_something_else_is_an_error_that_lists_what_fits():
    with pytest.raises(
        MetricError, match=r"'bleu': it scores texts, and here are losses; .* loss, perplexity"
    ):
        check_metrics(["perplexity", "bleu"], "losses")


def test_metrics_are_checked_without_rows(monkeypatch):
    asked = []
    monkeypatch.setattr(evaluate, "load", asked.append)
    check_metrics(["accuracy", "brier_score"], "labels")
    assert asked == ["brier_score"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("f1", {"f1": 0.5, "support": 3}),
        ("someone/f1", {"f1": 0.5}),
        ("metrics/f1.py", {"f1": 0.5, "other": 1}),
        ("sacrebleu", {"score": 0.5, "counts": [1, 2], "bp": 1.0}),
        ("brier", {"anything": 0.5, "text": "x"}),
    ],
)
def test_a_foreign_metric_gives_the_number_it_is_named_for(monkeypatch, name, found):
    serve(monkeypatch, found)
    assert compute_metrics([name], "labels", predictions=[0], references=[0]) == {name: 0.5}


def test_a_foreign_metric_of_many_numbers_is_an_error(monkeypatch):
    serve(monkeypatch, {"precision": 0.5, "recall": 0.5})
    with pytest.raises(MetricError, match="it reports precision, recall, and none is called squad or score"):
        compute_metrics(["squad"], "labels", predictions=[0], references=[0])


def test_a_foreign_metric_that_fails_is_one_error(monkeypatch):
    serve(monkeypatch, ZeroDivisionError())
    with pytest.raises(MetricError, match="'odd': its script cannot score these rows; ZeroDivisionError"):
        compute_metrics(["odd"], "labels", predictions=[0], references=[0])


def test_evaluate_loads_a_script_of_the_users(monkeypatch, tmp_path):
    script = tmp_path / "always_seven.py"
    script.write_text(
        "import datasets\nimport evaluate\n"
        "class AlwaysSeven(evaluate.Metric):\n"
        "    def _info(self):\n"
        "        value = datasets.Value('int64')\n"
        "        features = datasets.Features(predictions=value, references=value)\n"
        "        return evaluate.MetricInfo(description='', citation='', features=features)\n"
        "    def _compute(self, predictions, references):\n"
        "        return {'always_seven': 7}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "metrics"))
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    found = compute_metrics([str(script)], "labels", predictions=[0], references=[0])
    assert found == {str(script): 7.0}
