"""The settings, their defaults, and the values that they take."""

import pytest
from pydantic import ValidationError

from ftkit.recipe import (
    TASKS,
    AdapterSection,
    DataSection,
    EvaluationSection,
    ModelSection,
    Recipe,
    TrainingSection,
)
from ftkit.recipe.settings import SECTIONS, allows_null, list_settings

DEFAULTS = {
    "model.base": None,
    "model.dtype": "auto",
    "model.attn_implementation": "auto",
    "model.trust_remote_code": False,
    "model.allow_pickle": False,
    "data.validation": 0.1,
    "data.test": None,
    "data.split.by": "random",
    "data.split.column": None,
    "data.leakage.action": "drop",
    "data.leakage.against": [],
    "data.leakage.threshold": 0.8,
    "data.mixing.temperature": None,
    "data.mixing.stopping_strategy": "all_exhausted",
    "data.columns": {},
    "data.max_tokens": "auto",
    "data.too_long": "auto",
    "data.documents": "concatenate",
    "data.stride": "auto",
    "data.label_all_tokens": False,
    "data.source_prefix": "",
    "data.max_target_tokens": 128,
    "data.objective": "text-to-text",
    "data.train_on": "assistant",
    "adapter.method": "lora",
    "adapter.rank": 16,
    "adapter.alpha": None,
    "adapter.dropout": 0.0,
    "adapter.targets": "all-linear",
    "training.epochs": None,
    "training.max_steps": None,
    "training.batch_size": 16,
    "training.micro_batch_size": "auto",
    "training.learning_rate": 5e-5,
    "training.lr_scheduler_type": "linear",
    "training.warmup": 0,
    "training.optim": "adamw_torch_fused",
    "training.weight_decay": 0.0,
    "training.l1_penalty": 0.0,
    "training.label_smoothing_factor": 0.0,
    "training.max_grad_norm": 1.0,
    "training.seed": 42,
    "training.precision": "auto",
    "training.gradient_checkpointing": False,
    "training.early_stopping_patience": None,
    "training.checkpoint_every": "epoch",
    "training.save_total_limit": 2,
    "training.load_best_model_at_end": True,
    "training.log_every": 10,
    "training.report_to": [],
    "training.arguments": {},
    "evaluation.metrics": None,
    "evaluation.best_metric": None,
    "evaluation.greater_is_better": None,
    "evaluation.every": "epoch",
    "evaluation.baseline": True,
    "evaluation.generation.max_new_tokens": 128,
    "evaluation.generation.num_beams": 1,
    "evaluation.generation.length_penalty": 1.0,
    "evaluation.generation.no_repeat_ngram_size": 0,
    "evaluation.group": "auto",
    "evaluation.slices": [],
    "evaluation.errors": 30,
    "evaluation.also": {},
    "evaluation.also.NAME.max_rows": 500,
    "evaluation.json_schema": None,
    "evaluation.code.allow": False,
    "evaluation.code.column": "tests",
    "evaluation.code.samples": 1,
    "evaluation.code.temperature": 0.8,
    "evaluation.code.time_limit_seconds": 10.0,
    "evaluation.code.memory_limit_mb": 512,
    "evaluation.harness.tasks": [],
    "evaluation.harness.num_shots": None,
    "evaluation.harness.limit": None,
    "parallel.strategy": "auto",
    "parallel.shard_size": None,
    "parallel.num_devices": None,
    "parallel.num_hosts": 1,
    "parallel.rendezvous": None,
    "parallel.host_rank": None,
    "parallel.rendezvous_timeout": 900,
    "parallel.max_restarts": 0,
    "output_dir": None,
}


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_a_default_is_the_documented_one(name):
    assert list_settings()[name].default == DEFAULTS[name]


@pytest.mark.parametrize("name", sorted(list_settings()))
def test_every_setting_is_documented_where_it_stands(name):
    description = list_settings()[name].description
    assert description
    assert description.rstrip().endswith((".", ")"))


@pytest.mark.parametrize("section", [*SECTIONS.values(), Recipe])
def test_a_section_is_frozen_strict_and_without_room_for_unknown_keys(section):
    config = section.model_config
    assert (config["frozen"], config["strict"], config["extra"]) == (True, True, "forbid")


def test_a_recipe_without_a_length_runs_three_epochs():
    assert TrainingSection().epochs == 3
    assert TrainingSection.model_validate({"epochs": None}).epochs == 3


def test_a_number_of_steps_takes_the_place_of_the_three_epochs():
    assert TrainingSection(max_steps=10).epochs is None


def test_both_lengths_are_kept_where_both_are_given():
    training = TrainingSection(max_steps=10, epochs=2)
    assert (training.max_steps, training.epochs) == (10, 2)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10%", 0.1),
        ("12.5 %", 0.125),
        (" 5% ", 0.05),
        ("20％", 0.2),
        (".5%", 0.005),
        (0.3, 0.3),
        (500, 500),
        ("a.csv", "a.csv"),
    ],
)
def test_rows_to_measure_on_are_a_share_a_number_or_a_source(written, meant):
    found = DataSection(train="x", validation=written).validation
    assert (found, type(found)) == (meant, type(meant))


@pytest.mark.parametrize(("written", "meant"), [("5%", 0.05), ("0%", 0.0), (0.1, 0.1), (100, 100), (0, 0)])
def test_warm_up_is_a_share_or_a_number_of_steps(written, meant):
    found = TrainingSection(warmup=written).warmup
    assert (found, type(found)) == (meant, type(meant))


def test_a_round_number_with_an_exponent_is_whole():
    found = TrainingSection(batch_size=1e3).batch_size
    assert (found, type(found)) == (1000, int)


@pytest.mark.parametrize("task", [*TASKS, "my_lab.my_task", "a.b.c"])
def test_a_task_is_one_of_ftkit_or_a_module_outside(task):
    assert Recipe(task=task, model=ModelSection(base="a/b"), data=DataSection(train="x")).task == task


@pytest.mark.parametrize("task", ["", "nothing", "my_lab.", ".task", "my-lab.task", "a b", 3, None, ["chat"]])
def test_anything_else_is_no_task(task):
    with pytest.raises(ValidationError, match="unknown task"):
        Recipe(task=task, model=ModelSection(base="a/b"), data=DataSection(train="x"))


@pytest.mark.parametrize("section", [ModelSection, AdapterSection, TrainingSection, EvaluationSection])
def test_a_section_stands_on_its_own_with_its_defaults(section):
    assert section() == section()


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("data.validation", True),
        ("model.config", True),
        ("training.learning_rate", False),
        ("data.train", False),
    ],
)
def test_null_is_known_to_be_a_value_or_not(name, is_one):
    assert allows_null(list_settings()[name]) == is_one


@pytest.mark.parametrize("rows", [[{"text": "a"}], ["a.csv", "b.csv"], "a.csv"])
def test_rows_in_memory_or_by_name_are_taken(rows):
    assert DataSection(train=rows).train == rows


@pytest.mark.parametrize("value", [{"a": object()}, {"a": float("nan")}, {"a": [{"b": {1, 2}}]}, {"a": b"x"}])
def test_free_mappings_hold_only_what_a_file_can_hold(value):
    with pytest.raises(ValidationError, match="must"):
        TrainingSection(arguments=value)
