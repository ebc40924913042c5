"""Whose tokens of a conversation count, and how much."""

import copy

import chat_templates
import pytest
import torch
import transformers
from chat_templates import make_byte_tokenizer

from ftkit.tasks import Encoding, LossOptions, chat

TURNS = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "寫一首詩"},
    {"role": "assistant", "content": "春眠不覺曉"},
]


def weigh(*weights, row_weight=None):
    """Give the assistant's turns weights."""
    turns = copy.deepcopy(TURNS)
    for turn, weight in zip(turns[1::2], weights, strict=False):
        turn["weight"] = weight
    return {"messages": turns} if row_weight is None else {"messages": turns, "weight": row_weight}


def encode(rows, tokenizer, **settings):
    rejected = []
    encoding = Encoding(**{"max_tokens": 1000, "too_long": "truncate", **settings})
    examples = list(chat.encode(enumerate(rows), tokenizer, encoding, lambda *entry: rejected.append(entry)))
    return examples, rejected


def supervised_text(example, tokenizer):
    return tokenizer.decode([token for token in example["labels"] if token != -100])


@pytest.fixture(scope="module")
def tokenizer():
    return make_byte_tokenizer()


@pytest.fixture
def model(tiny_llama, tokenizer):
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tiny_llama)
    loaded.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return loaded.eval()


def mean_gradient(model, tokenizer, rows):
    """The gradient of one step, divided as the trainer divides it."""
    examples, _ = encode(rows, tokenizer)
    batch = chat.collate(examples, tokenizer, Encoding(1000, "truncate"), (0,))
    model.zero_grad()
    loss = chat.compute_loss(model, batch, LossOptions()) / chat.count_items(batch)
    loss.backward()
    return float(loss.detach()), torch.cat([weights.grad.flatten() for weights in model.parameters()])


@pytest.mark.parametrize(
    ("train_on", "text"),
    [
        ("assistant", "Hello!<|im_end|>春眠不覺曉<|im_end|>"),
        ("last", "春眠不覺曉<|im_end|>"),
    ],
)
def test_the_loss_is_on_the_turns_that_the_recipe_names(tokenizer, train_on, text):
    (example,), _ = encode([{"messages": TURNS}], tokenizer, train_on=train_on)
    assert supervised_text(example, tokenizer) == text


def test_all_means_every_token(tokenizer):
    (example,), _ = encode([{"messages": TURNS}], tokenizer, train_on="all")
    assert example["labels"] == example["input_ids"]


def test_a_turn_of_weight_zero_is_not_learned_and_not_scored(tokenizer):
    (example,), _ = encode([weigh(0, 1)], tokenizer)
    assert supervised_text(example, tokenizer) == "春眠不覺曉<|im_end|>"
    assert example["weights"] == [1.0]


def test_a_row_of_weight_zero_is_left_out_and_counted(tokenizer):
    examples, rejected = encode([weigh(row_weight=0), weigh(0, 0), weigh()], tokenizer)
    assert [example["row"] for example in examples] == [2]
    assert [entry[:2] for entry in rejected] == [(0, "weight:drop"), (1, "weight:drop")]


def test_the_weights_of_row_and_turn_are_multiplied(tokenizer):
    (example,), _ = encode([weigh(2, 0.5, row_weight=3)], tokenizer)
    found = {
        weight for weight, label in zip(example["weights"], example["labels"], strict=True) if label != -100
    }
    assert found == {6.0, 1.5}
    (same,), _ = encode([weigh(2, 2, row_weight=3)], tokenizer)
    assert same["weights"] == [6.0]


def test_the_items_of_a_batch_are_the_sum_of_the_weights(tokenizer):
    examples, _ = encode([weigh(2, 0.5), weigh()], tokenizer)
    batch = chat.collate(examples, tokenizer, Encoding(1000, "truncate"), (0,))
    first, second = len("Hello!") + 1, len("春眠不覺曉".encode()) + 1
    assert chat.count_items(batch) == 2 * first + 0.5 * second + first + second
    plain = chat.collate(examples[1:], tokenizer, Encoding(1000, "truncate"), (0,))
    assert "weights" not in plain
    assert chat.count_items(plain) == first + second


def test_a_weight_of_two_does_what_writing_the_row_twice_does(model, tokenizer):
    heavy, light = weigh(row_weight=2), {"messages": TURNS[:2]}
    loss, gradient = mean_gradient(model, tokenizer, [heavy, light])
    twice, expected = mean_gradient(model, tokenizer, [weigh(), weigh(), light])
    assert loss == pytest.approx(twice, rel=1e-5)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)  # other sums, in float32


def test_equal_weights_change_nothing(model, tokenizer):
    loss, gradient = mean_gradient(model, tokenizer, [weigh(row_weight=0.001), weigh(row_weight=0.001)])
    plain, expected = mean_gradient(model, tokenizer, [weigh(), weigh()])
    assert loss == pytest.approx(plain, rel=1e-5)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_scores_do_not_depend_on_weights(model, tokenizer):
    def score(row):
        examples, _ = encode([row], tokenizer)
        batch = chat.collate(examples, tokenizer, Encoding(1000, "truncate"), (0,))
        with torch.no_grad():
            return chat.predict(model, batch, examples)

    assert score(weigh(5, 0.5)) == score(weigh())


@pytest.mark.parametrize("weight", [-1, "high", True, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_an_error_of_its_row(weight):
    encoding = Encoding(9, "drop")
    assert "expected a number from 0" in chat.check_row(weigh(row_weight=weight), encoding)
    assert "message 2 (assistant): 'weight'" in chat.check_row(weigh(weight), encoding)


def test_weights_of_sharegpt_turns_are_read(tokenizer):
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!", "weight": 3}]
    (example,), _ = encode([{"conversations": turns}], tokenizer)
    assert example["weights"] == [3.0]


def test_the_prefix_stands_before_a_prompt_of_its_own_column_only(tokenizer):
    rows = [{"prompt": "text", "answer": "short"}, {"messages": TURNS}]
    examples, _ = encode(rows, tokenizer, source_prefix="Summarise: ")
    assert "user\nSummarise: text<|im_end|>" in tokenizer.decode(examples[0]["input_ids"])
    assert "Summarise" not in tokenizer.decode(examples[1]["input_ids"])
    prompt = chat.make_prompt(rows[0], tokenizer, Encoding(9, "drop", source_prefix="Summarise: "))
    assert examples[0]["input_ids"][: len(prompt)] == prompt


def test_a_template_without_an_end_token_is_said(caplog):
    encode([{"messages": TURNS}], make_byte_tokenizer(chat_templates.NO_MARKS))
    assert "cannot learn to stop" in caplog.text


def test_the_model_stops_where_the_template_ends_an_answer(tiny_llama):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_llama)
    tokenizer = make_byte_tokenizer(chat_templates.LLAMA3)
    stop = tokenizer.convert_tokens_to_ids("<|eot_id|>")
    model.generation_config.eos_token_id = 7
    chat.prepare_model(model, tokenizer)
    chat.prepare_model(model, tokenizer)
    assert model.generation_config.eos_token_id == [7, stop]


def split(row, tokenizer, **settings):
    return chat.split_answer(
        row, tokenizer, Encoding(**{"max_tokens": 1000, "too_long": "truncate", **settings})
    )


def test_the_answer_is_the_last_turn_of_the_assistant_and_the_rest_its_prompt(tokenizer):
    before, answer = split({"messages": [*TURNS, {"role": "user", "content": "Thanks"}]}, tokenizer)
    assert answer == "春眠不覺曉"
    assert before["messages"] == TURNS[:3]


def test_exchanges_that_training_leaves_out_are_left_out_of_the_prompt_too(tokenizer):
    (whole,), _ = encode([{"messages": TURNS}], tokenizer)
    before, answer = split({"messages": TURNS}, tokenizer, max_tokens=len(whole["input_ids"]) - 1)
    assert before["messages"] == TURNS[2:3]
    assert answer == "春眠不覺曉"


def test_a_tool_call_is_compared_as_the_template_writes_it():
    tokenizer = make_byte_tokenizer(chat_templates.TOOLS)
    call = {"function": {"name": "weather", "arguments": {"city": "長安"}}}
    turns = [TURNS[0], {"role": "assistant", "content": "", "tool_calls": [call]}]
    _, answer = split({"messages": turns}, tokenizer)
    assert answer.startswith("<tool_call>")
    assert answer.endswith("</tool_call>")


def test_reasoning_is_no_part_of_the_answer():
    records = [
        {"text": "<think>\nhm\n</think>\n\n four ", "reference": "four"},
        {"text": "5", "reference": "6"},
    ]
    assert chat.list_scored(records, "texts") == (["four", "5"], ["four", "6"])


def test_each_answer_of_a_conversation_has_its_own_loss(model, tokenizer):
    rows = [{"messages": TURNS}, {"messages": TURNS[:2]}, {"messages": TURNS * 2}]
    examples, _ = encode(rows, tokenizer)
    batch = chat.collate(examples, tokenizer, Encoding(1000, "truncate"), (0,))
    with torch.no_grad():
        records = chat.predict(model, batch, examples)
        first = chat.collate(examples[1:2], tokenizer, Encoding(1000, "truncate"), (0,))
        (alone,) = chat.predict(model, first, examples[1:2])
    assert [len(record["turns"]) for record in records] == [2, 1, 4]
    for record in records:
        assert sum(loss for loss, _ in record["turns"]) == pytest.approx(record["loss"])
        assert sum(number for _, number in record["turns"]) == record["num_tokens"]
        # The first answer depends on nothing that comes behind it; padding changes sums in float32.
        assert record["turns"][0][0] == pytest.approx(alone["loss"], rel=1e-4)
    assert [number for _, number in records[0]["turns"]] == [
        len(tokenizer(text, add_special_tokens=False)["input_ids"]) + 1 for text in ("Hello!", "春眠不覺曉")
    ]


def test_conversations_without_a_supervised_token_have_no_answers(model, tokenizer):
    examples, _ = encode([{"messages": TURNS}], tokenizer)
    muted = [{**example, "labels": [-100] * len(example["labels"])} for example in examples]
    batch = chat.collate(muted, tokenizer, Encoding(1000, "truncate"), (0,))
    with torch.no_grad():
        assert [record["turns"] for record in chat.predict(model, batch, muted)] == [[]]
