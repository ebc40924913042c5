"""A written recipe reads back as the same recipe, whatever is in it."""

import string

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ftkit.errors import RecipeError
from ftkit.recipe import dump_recipe, load_recipe, make_recipe
from ftkit.recipe.dumping import to_yaml
from ftkit.recipe.names import OPTIMIZERS, SCHEDULERS
from ftkit.recipe.yaml_reader import read_yaml

SHORTEST = {"task": "chat", "model": "org/name", "data": "train.jsonl"}


def round_trip(recipe, folder):
    (folder / "elsewhere").mkdir(exist_ok=True)
    (folder / "elsewhere" / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    return load_recipe(folder / "elsewhere" / "recipe.yaml")


def test_a_written_recipe_reads_back_equal(folder):
    recipe = make_recipe(SHORTEST, folder=folder)
    assert round_trip(recipe, folder) == recipe


def test_every_setting_is_written_with_its_value(folder):
    written = yaml.safe_load(dump_recipe(make_recipe(SHORTEST, folder=folder)))
    assert written["training"]["epochs"] == 3
    assert written["data"]["validation"] == 0.1
    assert written["output_dir"] == str(folder / "runs" / "chat")
    sections = [
        "task",
        "model",
        "data",
        "adapter",
        "training",
        "evaluation",
        "checks",
        "parallel",
        "output_dir",
    ]
    assert list(written) == sections


def test_chinese_is_written_as_chinese(folder):
    mapping = {**SHORTEST, "data": {"train": "数据/训练.jsonl", "label_names": ["好评", "差评"]}}
    text = dump_recipe(make_recipe(mapping, folder=folder))
    assert "好评" in text
    assert "训练.jsonl" in text


def test_rows_in_memory_are_named_in_the_header(folder):
    mapping = {
        **SHORTEST,
        "data": {"train": [{"text": "a"}] * 1234, "validation": 0.2, "test": [{"text": "b"}]},
    }
    text = dump_recipe(make_recipe(mapping, folder=folder))
    assert "# The rows of data.train, data.test were given in memory" in text
    assert "memory: 1,234 rows" in text
    assert "validation: 0.2" in text


def test_further_data_sets_in_memory_are_named_in_the_header_too(folder):
    also = {"poems": {"data": [{"text": "月"}] * 3}, "file": {"data": "诗.jsonl"}}
    text = dump_recipe(make_recipe({**SHORTEST, "evaluation": {"also": also}}, folder=folder))
    assert "# The rows of evaluation.also.poems.data were given in memory" in text
    assert "data: 'memory: 3 rows'" in text
    assert f"{folder}/诗.jsonl" in text


def test_a_data_set_in_memory_is_a_short_text(folder):
    import datasets

    table = datasets.Dataset.from_list([{"text": "a"}])
    assert "memory: 1 rows" in dump_recipe(make_recipe({**SHORTEST, "data": table}, folder=folder))


def test_a_recipe_without_rows_in_memory_does_not_mention_them(folder):
    assert "in memory" not in dump_recipe(make_recipe(SHORTEST, folder=folder))


def test_a_recipe_whose_rows_were_in_memory_cannot_be_run_again_and_says_why(folder):
    text = dump_recipe(make_recipe({**SHORTEST, "data": [{"text": "a"}]}, folder=folder))
    (folder / "again.yaml").write_text(text)
    with pytest.raises(
        RecipeError, match="data.train: the rows of this recipe were given in memory, by a notebook"
    ):
        load_recipe("again.yaml")


def test_a_recipe_whose_rows_were_in_memory_can_still_be_looked_at(folder):
    recipe = make_recipe({**SHORTEST, "data": [{"text": "a"}]}, folder=folder)
    (folder / "again.yaml").write_text(dump_recipe(recipe))
    again = load_recipe("again.yaml", rows_needed=False)
    assert again.training == recipe.training
    assert again.data.train == "memory: 1 rows"


def test_a_written_recipe_can_be_extended_and_changed(folder):
    (folder / "first.yaml").write_text(dump_recipe(make_recipe(SHORTEST, folder=folder)))
    (folder / "second.yaml").write_text("extends: first.yaml\nevaluation: {every: never}\n")
    assert load_recipe("second.yaml", ["training.max_steps=2"]).training.max_steps == 2


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
PLAIN = st.dictionaries(
    TEXTS,
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_size=3,
)
SHARES = st.floats(0.001, 0.999)
NAMES = st.text(string.ascii_letters + "数据", min_size=1, max_size=8).map(lambda name: f"./{name}.jsonl")
TRAINING = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.floats(0.1, 100),
        "max_steps": st.none() | st.integers(1, 10**9),
        "batch_size": st.integers(64, 4096),
        "micro_batch_size": st.just("auto") | st.integers(1, 16),
        "learning_rate": st.floats(1e-9, 0.5),
        "lr_scheduler_type": st.sampled_from(SCHEDULERS),
        "warmup": st.integers(0, 1000) | SHARES | SHARES.map(lambda share: f"{100 * share}%"),
        "optim": st.sampled_from(OPTIMIZERS),
        "optim_args": PLAIN,
        "weight_decay": st.floats(0, 10),
        "seed": st.integers(0, 2**32 - 1),
        "gradient_checkpointing": st.booleans(),
        "checkpoint_every": st.sampled_from(["epoch", "never"]) | st.integers(1, 1000),
        "report_to": st.lists(TEXTS, max_size=2),
    },
)
DATA = st.fixed_dictionaries(
    {"train": NAMES | st.lists(NAMES, min_size=1, max_size=3)},
    optional={
        "validation": st.none() | st.integers(1, 1000) | SHARES | NAMES,
        "test": st.none() | st.integers(1, 1000) | NAMES,
        "columns": st.dictionaries(TEXTS, TEXTS, max_size=3),
        "label_names": st.none()
        | st.lists(TEXTS, min_size=1, unique=True)
        | st.dictionaries(TEXTS, TEXTS, min_size=1),
        "max_tokens": st.just("auto") | st.integers(1, 10**6),
    },
)
MODELS = st.sampled_from(
    ["gpt2", "org/name", "./here", "pypi:a==1/b", {"base": "x/y", "revision": "v1"}]
) | PLAIN.map(lambda config: {"config": {**config, "model_type": "llama"}, "tokenizer": "gpt2"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    model=MODELS,
    data=DATA,
    training=TRAINING,
    adapter=st.sampled_from([None, "lora", {"targets": ["q_proj"]}]),
)
def test_every_recipe_reads_back_equal(tmp_path, model, data, training, adapter):
    recipe = make_recipe(
        {"task": "chat", "model": model, "data": data, "training": training, "adapter": adapter},
        folder=tmp_path,
    )
    assert round_trip(recipe, tmp_path) == recipe


@settings(deadline=None, max_examples=200)
@given(SCALARS)
@example("1e-4")
@example("0o17")
@example("no")
@example("12:30")
@example("=")
@example("<<")
@example("- a")
@example("\u2028")
@example("a\x85b")
@example("a\r\nb\n")
@example("😀")
def test_every_value_is_written_so_that_it_is_read_back(value):
    found, _ = read_yaml(to_yaml({"value": value}), name="a.yaml")
    assert (found["value"], type(found["value"])) == (value, type(value))


@settings(deadline=None)
@given(SCALARS.filter(lambda value: value is not None))
@example("1e-4")
@example("yes")
def test_other_yaml_readers_understand_what_is_written(value):
    found = yaml.safe_load(to_yaml({"value": value}))
    assert found == {"value": value}


def test_a_mixture_is_written_and_not_taken_for_rows(folder):
    train = [{"source": "a.jsonl", "weight": 0.5}, "b.jsonl", {"source": ["c.jsonl"], "rows": 7}]
    recipe = make_recipe({**SHORTEST, "data": {"train": train}}, folder=folder)
    assert round_trip(recipe, folder) == recipe
    assert recipe.data.train[0] == {"source": str(folder / "a.jsonl"), "weight": 0.5}
