"""A recipe with a mistake ends in one message, before anything is loaded or written."""

import pytest


@pytest.fixture
def refuse_text(refuse, here):
    """Fine-tune with the text of a recipe, which has a mistake."""

    def check(text, pattern):
        content = text if isinstance(text, bytes) else text.encode()
        (here / "bad.yaml").write_bytes(content)
        return refuse(pattern, recipe="bad.yaml")

    return check


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("recpe.yaml", r"recpe\.yaml: no such recipe; did you mean recipe\.yaml\?"),
        ("zzzz.txt", r"zzzz\.txt: no such recipe; ftkit init TASK writes one"),
        ("no/such.yaml", r"no/such\.yaml: no such recipe; there is no folder no"),
        (".", r"\S+: is a folder; name a recipe in it: chat\.yaml, recipe\.yaml"),
        ("train.jsonl", r"train\.jsonl: is data, not a recipe; a recipe names it under data"),
    ],
)
def test_a_recipe_that_is_not_there_says_what_is(refuse, name, message):
    refuse(message, recipe=name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"bad\.yaml: empty; a recipe has at least task, model and data"),
        ("# nothing but this\n", r"bad\.yaml: empty; .*"),
        ("task: [a\n", r"bad\.yaml:1: not YAML: a bracket that is not closed; found task: \[a"),
        ("- a\n- b\n", r"bad\.yaml: not a recipe; it must be a mapping \(task: .*; found a list of 2"),
        ("hello", r"bad\.yaml: not a recipe; .*; found 'hello'"),
        ("task: chat\n\tmodel: x\n", r"bad\.yaml:2: not YAML: a tab; YAML wants spaces.*"),
        ("task: chat\nmodel: a\ntask: chat\n", r".*bad\.yaml:3: task: given twice; the first is on line 1.*"),
        ("task: chat\n# \xe9".encode("latin1"), r"bad\.yaml:2: not UTF-8; found byte 0xe9; save .* UTF-8"),
        ("task: chat\n", r"bad\.yaml: model: missing; .*\nbad\.yaml: data: missing; .*"),
        ("extends: none.yaml\n", r"bad\.yaml:1: extends: none\.yaml: no such recipe; .*"),
    ],
)
def test_a_file_that_is_no_recipe_says_why_and_where(refuse_text, text, message):
    refuse_text(text, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.max_steps=two", r"training\.max_steps: must be a whole number; found 'two'"),
        ("training.max_steps=0", r"training\.max_steps: must be at least 1; found 0"),
        ("training.learning_rate=7", r"training\.learning_rate: must be below 1; found 7"),
        ("task=text-clasification", r"task: unknown task; .*; did you mean text-classification\?"),
        ("training.optim=adam", r"training\.optim: unknown name; found 'adam'; did you mean adamw_torch\?"),
        ("training.max_step=3", r"training\.max_step: unknown setting; did you mean max_steps\?"),
        ("data.validation=100%", r"data\.validation: must be at least 1 row, or a share .*; found '100%'"),
        ("adapter.targets=[]", r"adapter\.targets: must be all-linear or a list.*; found an empty list"),
        ("model.base=[", r"model\.base: not YAML: a bracket that is not closed.*; found \["),
        ("training.epochs", r"must be key=value, such as training\.epochs=2; found 'training\.epochs'"),
        ("extends=recipe.yaml", r"extends: belongs into the recipe file"),
    ],
)
def test_a_wrong_setting_on_the_command_line_names_what_is_right(refuse, change, message):
    refuse(rf"command line: {message}", change)


def test_all_mistakes_of_a_recipe_come_at_once_with_their_lines(refuse_text, here):
    text = (here / "recipe.yaml").read_text().replace("max_steps: 2", "max_steps: two, optmi: sgd")
    refuse_text(
        text + "colour: red\n",
        r"bad\.yaml:4: training\.max_steps: must be a whole number; found 'two'\n"
        r"bad\.yaml:4: training\.optmi: unknown setting; did you mean optim\?\n"
        r"bad\.yaml:6: colour: unknown setting; .*",
    )


def test_recipes_that_extend_each_other_in_a_circle_are_refused(refuse, here):
    (here / "a.yaml").write_text("extends: b.yaml\n")
    (here / "b.yaml").write_text("extends: a.yaml\n")
    circle = r"b\.yaml:1: extends: goes in a circle: a\.yaml -> b\.yaml -> a\.yaml; remove one .*"
    refuse(circle, recipe="a.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "evaluation.metrics=[f1_makro]",
            r"metric 'f1_makro': neither ftkit nor evaluate\.load .*macro_f1.*",
        ),
        ("evaluation.metrics=[bleu]", r"metric 'bleu': it scores texts, .*; metrics that fit: .*macro_f1.*"),
        ("data.documents=whole", r"data\.documents: the task text-classification does not read this .*"),
        ("data.too_long=split", r"data\.too_long: .* has no 'split'; it has truncate, .*drop, error"),
        ("data.columns={txt: a}", r"data\.columns\.txt: .* no such column; did you mean text\?"),
        ("training.arguments={use_cpuu: true}", r"training\.arguments\.use_cpuu: .*; did you mean use_cpu\?"),
        ("task=my.task", r"task: cannot import 'my\.task': No module named 'my'; known tasks: .*chat.*"),
    ],
)
def test_what_a_task_or_library_does_not_know_is_refused_before_the_rows_are_read(refuse, change, message):
    result = refuse(message, change)
    assert "reading" not in result.err
    assert "precision:" not in result.err


def test_code_that_a_recipe_names_runs_with_allow_alone(run, here):
    text = (here / "recipe.yaml").read_text()
    (here / "recipe.yaml").write_text(
        text.replace("max_tokens: 16", "max_tokens: 16, clean: [function: os:fsync]")
    )
    for command in (["finetune"], ["check"], ["data", "stats"]):
        refused = run(*command, "recipe.yaml")
        assert refused.code == 1
        assert (
            "recipe.yaml:3: data.clean[0].function: calls the function 'os:fsync'"
            in refused.out + refused.err
        )
    allowed = run("data", "stats", "recipe.yaml", "--allow")
    allowed.check_error(r"data.clean: os:fsync failed with TypeError.*")
