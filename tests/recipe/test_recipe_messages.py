"""What people read when a setting is wrong: what it must be, what was found, what to write."""

import pytest

from ftkit.recipe import TASKS


def explain(refusal, text, key):
    """Give the one message about a key, without the place and the key."""
    [line] = [line for line in refusal(text).splitlines() if f": {key}: " in line]
    return line.split(f": {key}: ")[1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("learning_rate: 3", "must be below 1; found 3"),
        ("learning_rate: 0", "must be above 0; found 0"),
        ("learning_rate: .nan", "must be a finite number; found nan"),
        ("learning_rate: .inf", "must be a finite number; found inf"),
        ("learning_rate: fast", "must be a number; found 'fast'"),
        ("learning_rate: '1e-4'", "must be a number; found '1e-4'; write 0.0001, without quotes"),
        ("learning_rate: true", "must be a number; found true"),
        ("learning_rate: [1e-4]", "must be a number; found a list of 1"),
        ("learning_rate: {a: 1}", "must be a number; found a mapping (a)"),
        ("learning_rate: {}", "must be a number; found an empty mapping"),
        ("label_smoothing_factor: 10%", "must be a number; found '10%'; write 0.1"),
        ("batch_size: 0", "must be at least 1; found 0"),
        ("batch_size: 2.5", "must be a whole number; found 2.5"),
        ("batch_size: '16'", "must be a whole number; found '16'; write 16, without quotes"),
        (
            "batch_size: '1_000_000'",
            "must be a whole number; found '1_000_000'; write 1000000, without quotes",
        ),
        ("batch_size: true", "must be a whole number; found true"),
        ("seed: -1", "must be at least 0; found -1"),
        ("seed: 4294967296", "must be below 4294967296; found 4294967296"),
        ("micro_batch_size: 0", "must be at least 1 or auto; found 0"),
        (
            "micro_batch_size: automatic",
            "must be a whole number or auto; found 'automatic'; did you mean auto?",
        ),
        (
            "checkpoint_every: epochs",
            "must be a number of steps, a time such as 30 min or 2 h, epoch, or never; found 'epochs'; "
            "did you mean epoch?",
        ),
        (
            "checkpoint_every: no",
            "must be a number of steps, a time such as 30 min or 2 h, epoch, or never; found 'no'; "
            "did you mean never?",
        ),
        (
            "checkpoint_every: 30 minutes",
            "must be a number of steps, a time such as 30 min or 2 h, epoch, or never; found '30 minutes'",
        ),
        ("gradient_checkpointing: yes", "must be true or false; found 'yes'; write true"),
        ("gradient_checkpointing: Off", "must be true or false; found 'Off'; write false"),
        ("gradient_checkpointing: 1", "must be true or false; found 1"),
        ("optim: adamw_troch", "unknown name; found 'adamw_troch'; did you mean adamw_torch?"),
        ("optim: SGD", "unknown name; found 'SGD'; did you mean sgd?"),
        ("optim: adam", "unknown name; found 'adam'; did you mean adamw_torch?"),
        ("lr_scheduler_type: cosin", "unknown name; found 'cosin'; did you mean cosine?"),
        (
            "precision: bf16",
            "must be auto, float32, bfloat16 or float16; found 'bf16'; did you mean bfloat16?",
        ),
        ("precision: 16", "must be auto, float32, bfloat16 or float16; found 16"),
        ("report_to: wandb", "must be a list; found 'wandb'; write [wandb]"),
        ("optim_args: fast", "must be a mapping (key: value); found 'fast'"),
        ("warmup: 100%", "must be a number of steps, or a share of them from 0% to below 100%; found '100%'"),
        ("warmup: -1", "must be a number of steps, or a share of them from 0% to below 100%; found -1"),
        ("warmup: true", "must be a number of steps, or a share of them from 0% to below 100%; found true"),
        ("warmup: 1.5", "must be a number of steps, or a share of them from 0% to below 100%; found 1.5"),
    ],
)
def test_a_wrong_training_setting_says_what_it_must_be_and_what_was_found(refusal, setting, message):
    key = setting.split(":")[0]
    assert explain(refusal, f"training:\n  {setting}\n", f"training.{key}") == message


def test_an_unknown_optimiser_with_nothing_near_lists_them_all(refusal):
    message = explain(refusal, "training: {optim: 优化}\n", "training.optim")
    assert message.startswith("must be adamw_torch, adamw_torch_fused, ")
    assert message.endswith(" or stable_adamw; found '优化'")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("text-clasification", "did you mean text-classification?"),
        ("Chat", "did you mean chat?"),
        ("sft", "did you mean chat?"),
        ("clm", "did you mean causal-lm?"),
        ("blah", f"ftkit has {', '.join(TASKS)}; a module of yours: my_lab.my_task"),
    ],
)
def test_an_unknown_task_names_the_nearest_or_all(refusal, name, advice):
    message = refusal(f"task: {name}\nmodel: a/b\ndata: x.jsonl\n", whole=True)
    assert message == f"spam.yaml:1: task: unknown task; found '{name}'; {advice}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0"),
        ("-5", "-5"),
        ("1.0", "1.0"),
        ("150%", "'150%'"),
        ("0.0", "0.0"),
    ],
)
def test_a_share_or_number_of_rows_out_of_bounds_is_shown_as_written(refusal, value, shown):
    text = f"task: chat\nmodel: a/b\ndata: {{train: x.jsonl, validation: {value}}}\n"
    message = "must be at least 1 row, or a share above 0% and below 100%"
    assert refusal(text, whole=True) == f"spam.yaml:3: data.validation: {message}; found {shown}"


@pytest.mark.parametrize("value", ["[]", "3", "true", "''", "{a: b}", "[a.jsonl, 3]", "[[a.jsonl]]"])
def test_rows_must_be_named_by_texts(refusal, value):
    message = refusal(f"task: chat\nmodel: a/b\ndata: {{train: {value}}}\n", whole=True)
    assert message.startswith("spam.yaml:3: data.train: ")
    assert "found" in message


def test_the_place_of_an_item_is_its_own_line(refusal):
    message = refusal("adapter:\n  targets:\n    - q_proj\n    - 3\n")
    assert message == "spam.yaml:7: adapter.targets[1]: must be text; found 3; put it in quotes"


def test_a_word_for_a_list_shows_how_to_write_it(refusal):
    assert refusal("adapter: {targets: q_proj}\n").endswith(
        "must be all-linear or a list; found 'q_proj'; write [q_proj]"
    )


def test_an_empty_list_of_targets_is_refused(refusal):
    assert refusal("adapter: {targets: []}\n").endswith(
        "must be all-linear or a list that is not empty; found an empty list"
    )


def test_a_number_as_a_column_asks_for_quotes(refusal):
    text = "task: chat\nmodel: a/b\ndata:\n  train: x\n  columns:\n    text: 2024\n"
    assert (
        refusal(text, whole=True)
        == "spam.yaml:6: data.columns.text: must be text; found 2024; put it in quotes"
    )


def test_a_number_as_a_key_asks_for_quotes(refusal):
    text = "task: chat\nmodel: a/b\ndata: {train: x, columns: {1: body}}\n"
    assert refusal(text, whole=True).endswith("a key must be text; found 1; put it in quotes")


@pytest.mark.parametrize("section", ["model", "data"])
def test_a_required_section_left_empty_is_missing(refusal, section):
    text = "task: chat\nmodel: a/b\ndata: x.jsonl\n".replace(f"{section}: ", f"{section}: # ")
    assert f": {section}: missing; add it, such as {section}: " in refusal(text, whole=True)


@pytest.mark.parametrize("value", ["3", "fast", "[a, b]"])
def test_a_section_that_is_no_mapping_says_so(refusal, value):
    assert "training: must be a mapping (key: value); found" in refusal(f"training: {value}\n")


def test_a_long_value_is_cut_in_the_message(refusal):
    message = explain(refusal, f"training: {{optim: {'x' * 500}}}\n", "training.optim")
    assert "x" * 57 + "...'" in message
    assert "x" * 58 not in message


def test_escape_sequences_in_values_do_not_reach_the_terminal(refusal):
    assert refusal('training: {precision: "\\e[31mred"}\n').isprintable()


def test_a_class_label_that_is_yes_or_no_stays_text(read):
    text = "task: text-classification\nmodel: a/b\ndata: {train: x, label_names: [yes, no]}\n"
    assert read(text, whole=True).data.label_names == ["yes", "no"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("[1, 2, 3]", ["1", "2", "3"]),
        ("{0: ham, 1: spam}", {"0": "ham", "1": "spam"}),
        ("{true: spam, false: ham}", {"true": "spam", "false": "ham"}),
        ("[好评, 差评]", ["好评", "差评"]),
        ("[0.5, 1]", ["0.5", "1"]),
    ],
)
def test_labels_can_be_numbers_and_words_of_any_language(read, written, meant):
    text = f"task: text-classification\nmodel: a/b\ndata: {{train: x, label_names: {written}}}\n"
    assert read(text, whole=True).data.label_names == meant


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[a, b, a]", "names a label twice: a"),
        ("[]", "names no label; found an empty list"),
        ("{1: a, '1': b}", "names a label twice, once as a number and once as text"),
        ("ham", "must be a list or a mapping (key: value); found 'ham'; write [ham]"),
    ],
)
def test_label_names_that_make_no_sense_are_refused(refusal, written, message):
    text = f"task: text-classification\nmodel: a/b\ndata: {{train: x, label_names: {written}}}\n"
    assert refusal(text, whole=True) == f"spam.yaml:3: data.label_names: {message}"
