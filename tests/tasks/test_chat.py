import chat_templates
import pytest
from chat_templates import make_byte_tokenizer

from ftkit.errors import ModelError
from ftkit.tasks import chat
from ftkit.tasks.protocol import Encoding

ROW = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "寫一首詩"},
        {"role": "assistant", "content": "春眠不覺曉"},
    ]
}


def encode(rows, tokenizer, max_tokens=1000, too_long="truncate"):
    rejected = []
    encoding = Encoding(max_tokens, too_long)
    examples = list(chat.encode(enumerate(rows), tokenizer, encoding, lambda *entry: rejected.append(entry)))
    return examples, rejected


def supervised_text(example, tokenizer):
    return tokenizer.decode([token for token in example["labels"] if token != -100])


@pytest.mark.parametrize(
    ("template", "stop"),
    [
        ("CHATML", "<|im_end|>"),
        ("MARKED_CHATML", "<|im_end|>"),
        ("LLAMA3", "<|eot_id|>"),
        ("GEMMA", "<end_of_turn>"),
        ("PHI3", "<|end|>"),
    ],
)
def test_the_supervised_tokens_decode_to_the_answers_and_their_stop_tokens(template, stop):
    tokenizer = make_byte_tokenizer(getattr(chat_templates, template))
    (example,), _ = encode([ROW], tokenizer)
    assert supervised_text(example, tokenizer) == f"Hello!{stop}春眠不覺曉{stop}"


def test_the_tokens_are_those_that_the_template_gives_at_inference():
    tokenizer = make_byte_tokenizer()
    (example,), _ = encode([ROW], tokenizer)
    expected = tokenizer.apply_chat_template(ROW["messages"], tokenize=True, return_dict=True)["input_ids"]
    assert example["input_ids"] == expected


def test_the_prompt_is_what_stands_before_the_answer_in_training():
    tokenizer = make_byte_tokenizer()
    (example,), _ = encode([ROW], tokenizer)
    prompt = chat.make_prompt(ROW, tokenizer, Encoding(1000, "truncate"))
    assert example["input_ids"][: len(prompt)] == prompt
    assert example["labels"][len(prompt)] != -100


def test_an_answer_that_is_too_long_with_its_history_loses_the_early_exchange():
    tokenizer = make_byte_tokenizer()
    (whole,), _ = encode([ROW], tokenizer)
    (example,), rejected = encode([ROW], tokenizer, max_tokens=len(whole["input_ids"]) - 1)
    text = tokenizer.decode(example["input_ids"])
    assert "Be brief." in text
    assert "Hello!" not in text
    assert supervised_text(example, tokenizer) == "春眠不覺曉<|im_end|>"
    assert rejected[0][:2] == (0, "too_long:truncate")
    assert "; left out: messages 2 to 3, from user: " in rejected[0][2]


def test_the_last_answer_stays_though_a_question_follows_it():
    turns = [("user", "hello " * 20), ("assistant", "hi"), ("user", "and now?")]
    row = {"messages": [{"role": role, "content": content} for role, content in turns]}
    examples, rejected = encode([row], make_byte_tokenizer(), max_tokens=60)
    assert examples == []
    assert rejected[0][:2] == (0, "too_long:drop")


def test_messages_that_are_left_out_are_named_in_order_of_the_row():
    turns = [("user", "床前明月光"), ("assistant", "one"), ("user", "two"), ("assistant", "three")]
    messages = [{"role": role, "content": content} for role, content in turns]
    tokenizer = make_byte_tokenizer()
    (last,), _ = encode([{"messages": messages[2:]}], tokenizer)
    (example,), rejected = encode([{"messages": messages}], tokenizer, max_tokens=len(last["input_ids"]))
    assert example["input_ids"] == last["input_ids"]
    assert rejected[0][2].endswith("; left out: messages 1 to 2, from user: '床前明月光'")


def test_a_last_exchange_that_is_too_long_alone_is_left_out_and_reported():
    examples, rejected = encode([ROW], make_byte_tokenizer(), max_tokens=20)
    assert examples == []
    assert rejected[0][:2] == (0, "too_long:drop")


@pytest.mark.parametrize("too_long", ["drop", "error"])
def test_other_choices_for_long_rows_are_followed(too_long):
    examples, rejected = encode([ROW], make_byte_tokenizer(), max_tokens=60, too_long=too_long)
    assert examples == []
    assert rejected[0][:2] == (0, f"too_long:{too_long}")


def test_a_conversation_that_the_template_refuses_is_an_error_of_its_row():
    tokenizer = make_byte_tokenizer(chat_templates.ALTERNATING)
    good = {"messages": ROW["messages"][1:]}
    examples, rejected = encode([good, ROW, good], tokenizer)
    assert [example["row"] for example in examples] == [0, 2]
    assert rejected[0][:2] == (1, "template:error")
    assert "roles must alternate" in rejected[0][2]


def test_a_tokenizer_without_a_template_is_refused():
    tokenizer = make_byte_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="no chat template"):
        encode([ROW], tokenizer)


def test_a_template_that_does_not_parse_is_refused():
    with pytest.raises(ModelError, match="fails on a plain exchange"):
        encode([ROW], make_byte_tokenizer("{% for %}"))


def test_an_end_token_that_also_pads_keeps_its_loss():
    tokenizer = make_byte_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    examples, _ = encode([ROW, {"messages": ROW["messages"][1:3]}], tokenizer)
    batch = chat.collate(examples, tokenizer, None, ())
    assert int((batch["labels"][1] != -100).sum()) == len("Hello!") + 1
    assert int(batch["attention_mask"][1].sum()) == len(examples[1]["input_ids"])
