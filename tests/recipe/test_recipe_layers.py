"""A recipe can extend another, and the command line changes both."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.errors import RecipeError
from ftkit.recipe import load_recipe, make_recipe
from ftkit.recipe.layers import expand_short_forms, merge_layers
from ftkit.recipe.mistakes import Layer

BASE = """task: chat
model: {base: org/name, dtype: float32}
data: {train: train.jsonl, validation: 5%, columns: {messages: talk, id: key}}
training:
  epochs: 2
  learning_rate: 1e-3
  arguments: {adam_beta1: 0.8, dataloader_num_workers: 2}
"""


@pytest.fixture
def extend(folder):
    """Write BASE to base.yaml and a recipe that extends it, and load that."""

    def write_and_load(text, *overrides):
        (folder / "base.yaml").write_text(BASE, encoding="utf-8")
        (folder / "child.yaml").write_text("extends: base.yaml\n" + text, encoding="utf-8")
        return load_recipe("child.yaml", overrides)

    return write_and_load


def test_a_recipe_that_changes_nothing_is_the_one_that_it_extends(extend):
    child, base = extend(""), load_recipe("base.yaml")
    assert child.model_copy(update={"output_dir": None}) == base.model_copy(update={"output_dir": None})


def test_a_child_changes_one_setting_and_keeps_the_rest(extend):
    training = extend("training: {epochs: 5}\n").training
    assert (training.epochs, training.learning_rate) == (5, 1e-3)


def test_free_mappings_are_merged_too(extend):
    arguments = extend("training: {arguments: {adam_beta1: 0.7}}\n").training.arguments
    assert arguments == {"adam_beta1": 0.7, "dataloader_num_workers": 2}


def test_lists_are_replaced_and_not_joined(extend):
    assert len(extend("data: {train: [a.jsonl, b.jsonl]}\n").data.train) == 2


def test_a_short_form_changes_only_what_it_stands_for(extend):
    model = extend("model: other/name\n").model
    assert (model.base, model.dtype) == ("other/name", "float32")


def test_null_takes_a_setting_away(extend):
    assert extend("training: {learning_rate: null}\n").training.learning_rate == 5e-5


def test_null_takes_a_key_of_a_free_mapping_away(extend):
    assert extend("data: {columns: {id: null}}\n").data.columns == {"messages": "talk"}


def test_null_takes_a_section_away(extend):
    assert extend("training: null\n").training.epochs == 3


def test_null_stays_null_where_that_is_a_value(extend):
    assert extend("data: {validation: null}\n").data.validation is None


def test_an_adapter_can_be_taken_away_and_given_again(folder, extend):
    extend("adapter: {rank: 8}\n")
    (folder / "grandchild.yaml").write_text("extends: child.yaml\nadapter: none\n")
    assert load_recipe("grandchild.yaml").adapter is None
    (folder / "grandchild.yaml").write_text("extends: child.yaml\nadapter: lora\n")
    assert load_recipe("grandchild.yaml").adapter.rank == 8


def test_the_run_folder_is_named_after_the_child(extend, folder):
    assert extend("").output_dir == str(folder / "runs" / "child")


def test_paths_are_relative_to_the_file_that_names_them(folder):
    (folder / "team").mkdir()
    (folder / "team" / "base.yaml").write_text(BASE)
    (folder / "mine").mkdir()
    (folder / "mine" / "child.yaml").write_text("extends: ../team/base.yaml\ndata: {test: test.jsonl}\n")
    data = load_recipe("mine/child.yaml").data
    assert data.train == str(folder / "team" / "train.jsonl")
    assert data.test == str(folder / "mine" / "test.jsonl")


def test_a_mistake_is_reported_in_the_file_that_has_it(folder):
    (folder / "base.yaml").write_text(BASE + "  batch_size: 0\n")
    (folder / "child.yaml").write_text("extends: base.yaml\ntraining:\n  epochs: -1\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("child.yaml")
    assert str(caught.value).splitlines() == [
        "base.yaml:8: training.batch_size: must be at least 1; found 0",
        "child.yaml:3: training.epochs: must be above 0; found -1",
    ]


def test_a_mistake_that_the_child_mends_is_none(folder):
    (folder / "base.yaml").write_text(BASE + "  batch_size: 0\n")
    (folder / "child.yaml").write_text("extends: base.yaml\ntraining: {batch_size: 8}\n")
    assert load_recipe("child.yaml").training.batch_size == 8


def test_a_base_that_is_no_yaml_is_reported_in_its_file(folder):
    (folder / "base.yaml").write_text("task: 'chat\n")
    (folder / "child.yaml").write_text("extends: base.yaml\n")
    with pytest.raises(RecipeError, match=r"^base\.yaml:1: not YAML: "):
        load_recipe("child.yaml")


def test_a_missing_base_is_reported_at_the_line_that_names_it(folder):
    (folder / "base.yaml").write_text(BASE)
    (folder / "child.yaml").write_text("task: chat\nextends: bsae.yaml\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("child.yaml")
    assert str(caught.value) == "child.yaml:2: extends: bsae.yaml: no such recipe; did you mean base.yaml?"


def test_a_circle_is_refused_with_its_chain(folder):
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (folder / f"{name}.yaml").write_text(f"extends: {other}.yaml\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("a.yaml")
    circle = "a.yaml -> b.yaml -> c.yaml -> a.yaml"
    assert str(caught.value) == f"c.yaml:1: extends: goes in a circle: {circle}; remove one of these lines"


def test_a_recipe_cannot_extend_itself_through_a_link(folder):
    (folder / "a.yaml").write_text("extends: link.yaml\n")
    (folder / "link.yaml").symlink_to("a.yaml")
    with pytest.raises(RecipeError, match="goes in a circle"):
        load_recipe("a.yaml")


def test_the_same_base_twice_on_one_way_up_is_no_circle(folder):
    (folder / "base.yaml").write_text(BASE)
    (folder / "middle.yaml").write_text("extends: base.yaml\n")
    (folder / "child.yaml").write_text("extends: middle.yaml\n")
    assert load_recipe("child.yaml").task == "chat"


@pytest.mark.parametrize("value", ["3", "[base.yaml]", "{a: b}", "true"])
def test_extends_takes_one_path(extend, value, folder):
    (folder / "child.yaml").write_text(f"extends: {value}\n")
    with pytest.raises(RecipeError, match=r"^child\.yaml:1: extends: must be the path of one recipe; found "):
        load_recipe("child.yaml")


def test_a_notebook_can_extend_a_file(folder):
    (folder / "base.yaml").write_text(BASE)
    assert (
        make_recipe({"extends": "base.yaml", "training": {"epochs": 9}}, folder=folder).training.epochs == 9
    )


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("training.learning_rate=3e-5", "training", "learning_rate", 3e-5),
        ("training.epochs = 4", "training", "epochs", 4),
        ("training.arguments.adam_beta1=0.5", "training", "arguments", {"adam_beta1": 0.5}),
        ("training.report_to=[tensorboard, mlflow]", "training", "report_to", ["tensorboard", "mlflow"]),
        ("data.columns={text: body}", "data", "columns", {"text": "body"}),
        ("data.validation=20%", "data", "validation", 0.2),
        ("data.validation=null", "data", "validation", None),
        ("model=other/name", "model", "base", "other/name"),
        ("adapter=lora", "adapter", "rank", 16),
        ("evaluation.best_metric=名", "evaluation", "best_metric", "名"),
    ],
)
def test_the_command_line_sets_any_setting(read, override, section, key, value):
    assert getattr(getattr(read("", override), section), key) == value


def test_the_last_word_on_the_command_line_stands(read):
    assert read("training: {epochs: 1}\n", "training.epochs=2", "training.epochs=3").training.epochs == 3


def test_null_on_the_command_line_goes_back_to_the_default(read):
    assert read("training: {batch_size: 4}\n", "training.batch_size=null").training.batch_size == 16


def test_a_path_on_the_command_line_is_relative_to_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "spam.yaml").write_text("task: chat\nmodel: a/b\ndata: x.jsonl\n")
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(Path("recipes/spam.yaml"), ["data.train=mine.jsonl", "output_dir=out"])
    assert (recipe.data.train, recipe.output_dir) == (str(tmp_path / "mine.jsonl"), str(tmp_path / "out"))


def test_a_glob_on_the_command_line_needs_no_quotes(read, folder):
    assert read("", "data.train=*.jsonl").data.train == str(folder / "*.jsonl")


NO_VALUE = "must be key=value, such as training.epochs=2"
NO_NUMBER = "must be a whole number; found nothing; leave the line out for the default"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", f"{NO_VALUE}; found 'training.epochs'"),
        ("=3", f"{NO_VALUE}; found '=3'"),
        ("training..epochs=3", f"{NO_VALUE}; found 'training..epochs=3'"),
        ("training.epoch=3", "training.epoch: unknown setting; ftkit calls it training.epochs"),
        ("learning_rate=3", "learning_rate: unknown setting; learning_rate belongs to training"),
        ("training.batch_size=0", "training.batch_size: must be at least 1; found 0"),
        ("training.batch_size=", f"training.batch_size: {NO_NUMBER}"),
        ("data.columns={a: 1", "data.columns: not YAML: a bracket that is not closed; found {a: 1"),
        ("data.columns={a: b, a: c}", "data.columns.a: given twice; remove one"),
        ("extends=other.yaml", "extends: belongs into the recipe file"),
        (
            "training.arguments.seed=3",
            "training.arguments.seed: ftkit sets this itself; write training.seed instead",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_placed_there(refusal, override, message):
    assert refusal("", override) == f"command line: {message}"


def test_mistakes_of_file_and_command_line_come_together(refusal):
    lines = refusal("training: {epochs: -1}\n", "training.batch_size=0", "adapter.rank=x").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["spam.yaml:4", "command line", "command line"]


def test_adapter_none_and_null_are_the_same(read):
    assert read("adapter: none\n").adapter is read("adapter: null\n").adapter is None


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ({"model": "a/b"}, {"model": {"base": "a/b"}}),
        ({"data": "x"}, {"data": {"train": "x"}}),
        ({"data": ["x", "y"]}, {"data": {"train": ["x", "y"]}}),
        ({"data": {"split": "stratified"}}, {"data": {"split": {"by": "stratified"}}}),
        ({"data": {"leakage": "error"}}, {"data": {"leakage": {"action": "error"}}}),
        ({"split": "stratified"}, {"split": "stratified"}),
        ({"adapter": "lora"}, {"adapter": {"method": "lora"}}),
        ({"adapter": "None"}, {"adapter": None}),
        ({"model": {"base": "a"}, "task": "chat"}, {"model": {"base": "a"}, "task": "chat"}),
    ],
)
def test_a_short_form_stands_for_the_full_one(short, full):
    assert expand_short_forms(short) == full


def test_a_short_form_inside_a_section_keeps_what_it_does_not_name(extend):
    data = extend("data: {split: {by: group, column: context}}\n", "data.split=stratified").data
    assert (data.split.by, data.split.column) == ("stratified", "context")


TREES = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4), max_leaves=8
)
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), TREES, max_size=4)


def merge(*values):
    merged = Layer({})
    for each in values:
        merged = merge_layers(merged, Layer(each))
    return merged.values


@settings(deadline=None)
@given(MAPPINGS)
def test_merging_with_nothing_or_with_itself_changes_nothing(values):
    assert merge(values) == merge(values, {}) == merge(values, values) == values


@settings(deadline=None)
@given(MAPPINGS, MAPPINGS)
def test_what_is_on_top_is_all_there_after_merging(lower, upper):
    merged = merge(lower, upper)
    assert merge(merged, upper) == merged
    assert set(merged) == set(lower) | set(upper)


@settings(deadline=None)
@given(MAPPINGS, MAPPINGS)
def test_merging_changes_neither_layer(lower, upper):
    before = repr((lower, upper))
    merge(lower, upper)
    assert repr((lower, upper)) == before
