"""Settings that contradict each other are refused under the key to change."""

import pytest

from ftkit.recipe.conflicts import find_conflicts


def find(**sections):
    return {".".join(map(str, path)): problem for path, problem in find_conflicts(sections)}


def test_a_model_comes_from_a_base_or_from_a_config_and_not_from_both():
    assert (
        "give one of the two"
        in find(model={"base": "a/b", "config": {"model_type": "llama"}, "tokenizer": "t"})["model.config"]
    )


def test_a_model_needs_a_base_or_a_config():
    assert list(find(model={"dtype": "float32"})) == ["model.base"]


def test_a_config_needs_an_architecture_and_a_tokenizer():
    assert set(find(model={"config": {"hidden_size": 8}})) == {"model.config.model_type", "model.tokenizer"}


def test_a_whole_config_is_fine():
    assert find(model={"config": {"model_type": "llama"}, "tokenizer": "a/b"}) == {}


@pytest.mark.parametrize("base", ["/models/mine", "pypi:x==1/y", "s3://bucket/model"])
def test_a_revision_needs_a_hub_id(base):
    assert list(find(model={"base": base, "revision": "v1"})) == ["model.revision"]


def test_a_hub_id_may_have_a_revision():
    assert find(model={"base": "org/name", "revision": "v1"}) == {}


@pytest.mark.parametrize(
    ("split", "problem"),
    [
        ({"by": "group"}, "missing; name the column whose rows stay together"),
        ({"by": "time"}, "missing; name the column that holds the time"),
        ({"column": "date"}, "does nothing with by: random; take it out, or say by: group"),
        ({"by": "random", "column": "date"}, "does nothing with by: random"),
    ],
)
def test_a_split_needs_its_column_and_no_other(split, problem):
    assert problem in find(data={"split": split})["data.split.column"]


SOURCES = ["a.jsonl", {"source": "b.jsonl", "weight": 2}]


@pytest.mark.parametrize(
    ("train", "mixing", "key", "problem"),
    [
        ("a.jsonl", {"temperature": 2}, "temperature", "does nothing with one source; list several"),
        (SOURCES, {"temperature": 2}, "temperature", "makes the weights, and data.train gives some"),
        (SOURCES[:1] * 2, {"stopping_strategy": "first_exhausted"}, "stopping_strategy", "without weights"),
    ],
)
def test_mixing_needs_several_sources_and_one_kind_of_weights(train, mixing, key, problem):
    assert problem in find(data={"train": train, "mixing": mixing})[f"data.mixing.{key}"]


@pytest.mark.parametrize(
    ("train", "mixing"),
    [
        (SOURCES, {"stopping_strategy": "first_exhausted"}),
        (SOURCES[:1] * 2, {"temperature": 2, "stopping_strategy": "first_exhausted"}),
        ("a.jsonl", {"stopping_strategy": "all_exhausted", "temperature": None}),
    ],
)
def test_mixing_that_does_something_is_fine(train, mixing):
    assert find(data={"train": train, "mixing": mixing}) == {}


@pytest.mark.parametrize("split", [{}, {"by": "stratified"}, {"by": "stratified", "column": "kind"}])
def test_a_split_by_labels_may_name_their_column(split):
    assert find(data={"split": split}) == {}


@pytest.mark.parametrize(
    ("micro", "batch", "is_wrong"), [(32, 16, True), (16, 16, False), ("auto", 1, False)]
)
def test_a_micro_batch_is_at_most_the_batch(micro, batch, is_wrong):
    found = find(training={"micro_batch_size": micro, "batch_size": batch})
    assert ("training.micro_batch_size" in found) == is_wrong


def test_a_micro_batch_is_compared_with_the_default_batch():
    assert find(training={"micro_batch_size": 17})["training.micro_batch_size"].endswith("16; found 17")


def test_early_stopping_needs_evaluations():
    found = find(training={"early_stopping_patience": 2}, evaluation={"every": "never"})
    assert found == {
        "training.early_stopping_patience": "needs evaluations to go by; evaluation.every is never"
    }


def test_early_stopping_needs_rows_to_evaluate():
    found = find(training={"early_stopping_patience": 2}, data={"train": "x", "validation": None})
    assert found == {"training.early_stopping_patience": "needs rows to evaluate; data.validation is null"}


def test_a_threshold_of_early_stopping_needs_early_stopping():
    assert list(find(training={"early_stopping_threshold": 0.1})) == ["training.early_stopping_patience"]


def test_early_stopping_with_the_defaults_is_fine():
    assert find(training={"early_stopping_patience": 2, "early_stopping_threshold": 0.1}) == {}


@pytest.mark.parametrize(("best", "is_wrong"), [("f1", False), ("loss", False), ("bleu", True)])
def test_the_best_metric_is_the_loss_or_one_of_the_metrics(best, is_wrong):
    found = find(evaluation={"metrics": ["accuracy", "f1"], "best_metric": best})
    assert ("evaluation.best_metric" in found) == is_wrong


def test_a_best_metric_without_metrics_is_left_to_the_task():
    assert find(evaluation={"best_metric": "bleu"}) == {}


def test_a_direction_needs_its_metric():
    assert list(find(evaluation={"greater_is_better": True})) == ["evaluation.best_metric"]


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("num_train_epochs", "ftkit sets this itself; write training.epochs instead"),
        (
            "per_device_train_batch_size",
            "ftkit sets this itself; write training.batch_size or training.micro_batch_size instead",
        ),
        ("bf16", "ftkit sets this itself; write training.precision instead"),
        ("warmup_ratio", "ftkit sets this itself; write training.warmup instead"),
        ("output_dir", "ftkit sets this itself; write output_dir instead"),
        ("eval_strategy", "ftkit sets this itself; write evaluation.every instead"),
        (
            "logging_nan_inf_filter",
            "ftkit sets this itself; always off: a loss that is not finite stops the run",
        ),
    ],
)
def test_an_argument_that_ftkit_owns_is_refused_with_its_setting(argument, problem):
    assert find(training={"arguments": {argument: 1}}) == {f"training.arguments.{argument}": problem}


def test_an_argument_that_ftkit_does_not_own_is_let_through():
    assert find(training={"arguments": {"torch_compile": True}}) == {}


def test_a_token_is_never_taken_from_a_recipe():
    assert "HF_TOKEN" in find(training={"arguments": {"hub_token": "hf_x"}})["training.arguments.hub_token"]


@pytest.mark.parametrize(
    "sections",
    [
        {"model": 3, "data": None, "training": [], "evaluation": "x"},
        {
            "training": {
                "micro_batch_size": "x",
                "batch_size": None,
                "arguments": 3,
                "early_stopping_patience": "a",
            }
        },
        {"evaluation": {"metrics": "f1", "best_metric": ["f1"]}},
        {"model": {"base": 3, "revision": 4, "config": "x"}},
        {"training": {"arguments": {3: 4}}},
    ],
)
def test_wrong_types_are_left_to_the_check_of_types(sections):
    assert all("found" in problem or "give one" in problem for problem in find(**sections).values())


def test_a_conflict_is_reported_beside_other_mistakes(refusal):
    text = "training: {early_stopping_patience: 2, epochs: -1}\nevaluation: {every: never}\n"
    assert len(refusal(text).splitlines()) == 2


def test_an_output_folder_must_be_on_this_machine(refusal):
    message = refusal("output_dir: s3://bucket/runs\n")
    assert message == "spam.yaml:4: output_dir: must be a folder on this machine; found 's3://bucket/runs'"


HOSTS = {"num_hosts": 2, "rendezvous": "10.0.0.1:29400"}


@pytest.mark.parametrize(
    ("parallel", "key", "problem"),
    [
        ({"num_hosts": 2}, "rendezvous", "missing; several hosts need an address where they meet"),
        ({"rendezvous": "10.0.0.1:29400"}, "rendezvous", "does nothing on one host"),
        ({"host_rank": 0}, "host_rank", "does nothing on one host"),
        ({**HOSTS, "host_rank": 2}, "host_rank", "must be below parallel.num_hosts, 2; found 2"),
        ({**HOSTS, "host_rank": 0, "max_restarts": 1}, "host_rank", "does not go with parallel.max_restarts"),
        ({**HOSTS, "rendezvous": "node-1"}, "rendezvous", "must be HOST:PORT, such as 10.0.0.1:29400"),
        ({**HOSTS, "rendezvous": "a:b:1"}, "rendezvous", "must be HOST:PORT"),
        ({"strategy": "ddp", "shard_size": 2}, "shard_size", "does nothing with strategy: ddp"),
    ],
)
def test_hosts_need_a_place_to_meet_and_settings_that_do_something(parallel, key, problem):
    assert problem in find(parallel=parallel)[f"parallel.{key}"]


@pytest.mark.parametrize(
    "parallel",
    [HOSTS, {**HOSTS, "host_rank": 1}, {**HOSTS, "rendezvous": "[fd00::1]:29400"}, {"num_devices": 2}],
)
def test_hosts_that_can_meet_are_fine(parallel):
    assert find(parallel=parallel) == {}


def test_no_device_has_all_weights_for_an_l1_penalty():
    found = find(parallel={"strategy": "fsdp"}, training={"l1_penalty": 0.1})
    assert "does not go with parallel.strategy: fsdp" in found["training.l1_penalty"]
    assert find(parallel={"strategy": "ddp"}, training={"l1_penalty": 0.1}) == {}
