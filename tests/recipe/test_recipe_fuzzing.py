"""Whatever a recipe holds, it is loaded or refused with an error of ftkit, and never anything else."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ftkit.errors import RecipeError
from ftkit.recipe import Recipe, load_recipe, make_starter
from ftkit.recipe.dumping import to_yaml
from ftkit.recipe.known_names import FOREIGN_NAMES, OWNED_ARGUMENTS
from ftkit.recipe.settings import SECTIONS, list_settings

NAMES = sorted({name.split(".")[-1] for name in list_settings()} | {*SECTIONS, "extends", *FOREIGN_NAMES})
VALUES = st.sampled_from(
    [None, True, 0, -1, 3, 0.5, 1e300, float("inf"), "", " ", "10%", "-5%", "yes", "auto", "x.jsonl", "a/b",
     "~", "s3://x", "memory: 3 rows", "\0", "*", "数据", "a" * 300, [], {}, [None], [[]], [3], {"a": None},
     {1: 2}]
)  # fmt: skip
KEYS = st.sampled_from(NAMES) | st.sampled_from([*OWNED_ARGUMENTS, "", "1", "数据", "a.b", "\x1b"])
INNER = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=2), max_size=4)
RECIPES = st.dictionaries(
    st.sampled_from([*Recipe.model_fields, "extends"]) | KEYS, INNER | VALUES, max_size=5
)
STARTER = make_starter("chat").recipe


def load_or_refuse(folder, text, *overrides):
    """Load a text; the message of a refusal must be one that can be printed, a line for each mistake."""
    (folder / "fuzz.yaml").write_text(text, encoding="utf-8")
    try:
        load_recipe(folder / "fuzz.yaml", overrides)
    except RecipeError as error:
        return str(error)
    return "fine"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(RECIPES)
@example({"task": None, "model": None, "data": None})
@example({"model": {"config": {}}, "training": {"arguments": {1: 2}}})
def test_any_settings_are_loaded_or_refused(tmp_path, values):
    message = load_or_refuse(tmp_path, to_yaml(values))
    assert all(line.isprintable() and line for line in message.splitlines())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    start=st.integers(0, len(STARTER)),
    length=st.integers(0, 40),
    put=st.text("ab:-[]{}*&!\"'|>\n\t #?,0%数", max_size=8),
)
def test_a_damaged_recipe_is_loaded_or_refused(tmp_path, start, length, put):
    assert load_or_refuse(tmp_path, STARTER[:start] + put + STARTER[start + length :])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.lists(
        st.text("abtraining.=[]{}:*\n 0数", max_size=20) | st.builds("{}={}".format, KEYS, VALUES), max_size=3
    )
)
@example(["=", ".", "a.b.c=", "training=", "data.=1"])
def test_any_words_on_the_command_line_are_taken_or_refused(tmp_path, words):
    assert load_or_refuse(tmp_path, STARTER, *words)
