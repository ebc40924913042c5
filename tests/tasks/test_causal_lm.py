import pytest
from chat_templates import make_byte_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.errors import RecipeError
from ftkit.tasks import causal_lm
from ftkit.tasks.protocol import Encoding

TOKENIZER = make_byte_tokenizer()
END = TOKENIZER.eos_token_id


def encode(texts, max_tokens, documents="concatenate", too_long="split", stride=0):
    rejected = []
    encoding = Encoding(max_tokens, too_long, documents, stride=stride)
    rows = enumerate({"text": text} for text in texts)
    examples = list(causal_lm.encode(rows, TOKENIZER, encoding, lambda *entry: rejected.append(entry)))
    return examples, rejected


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=8), max_tokens=st.integers(3, 25))
def test_blocks_hold_every_token_once_and_in_order(texts, max_tokens):
    expected = [token for text in texts for token in [*TOKENIZER(text)["input_ids"], END]]
    examples, _ = encode(texts, max_tokens)
    found = [token for example in examples for token in example["input_ids"]]
    assert found == (expected if len(expected) > 1 else [])
    assert all(1 < len(example["input_ids"]) <= max_tokens for example in examples)


def test_documents_have_the_end_token_between_them():
    examples, _ = encode(["ab", "cd"], 100)
    assert TOKENIZER.decode(examples[0]["input_ids"]) == "ab<|im_end|>cd<|im_end|>"
    assert examples[0]["labels"] == examples[0]["input_ids"]


def test_a_block_names_the_document_it_begins_in():
    examples, _ = encode(["aaaa", "bbbb", "cccc"], 6)
    assert [example["row"] for example in examples] == [0, 1, 2]


def test_whole_documents_stay_apart():
    examples, rejected = encode(["ab", "cde"], 10, documents="whole")
    assert [TOKENIZER.decode(example["input_ids"]) for example in examples] == [
        "ab<|im_end|>",
        "cde<|im_end|>",
    ]
    assert rejected == []


@pytest.mark.parametrize(
    ("too_long", "lengths"), [("split", [4, 4, 3, 2]), ("truncate", [4, 2]), ("drop", [2]), ("error", [2])]
)
def test_a_long_document_is_treated_as_the_recipe_says_and_reported(too_long, lengths):
    examples, rejected = encode(["abcdefghij", "x"], 4, documents="whole", too_long=too_long)
    assert [len(example["input_ids"]) for example in examples] == lengths
    assert rejected == [(0, f"too_long:{too_long}", "11 tokens, the limit is 4")]


def test_a_prompt_has_no_end_token():
    assert (
        TOKENIZER.decode(causal_lm.make_prompt({"text": "春眠"}, TOKENIZER, Encoding(9, "split"))) == "春眠"
    )


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60), max_tokens=st.integers(4, 20), stride=st.integers(1, 3))
def test_parts_overlap_and_every_token_is_learned_in_one_of_them(text, max_tokens, stride):
    whole = [*TOKENIZER(text)["input_ids"], END]
    examples, rejected = encode([text], max_tokens, "whole", stride=stride)
    learned = [token for example in examples for token in example["labels"] if token != -100]
    assert learned == whole
    assert all(len(example["input_ids"]) <= max_tokens for example in examples)
    for before, after in zip(examples, examples[1:], strict=False):
        assert after["labels"][:stride] == [-100] * stride
        assert before["input_ids"][-stride:] == after["input_ids"][:stride]
    assert len(rejected) == (len(whole) > max_tokens)


def test_a_stride_without_parts_that_could_overlap_is_refused():
    for options in ({"documents": "concatenate"}, {"documents": "whole", "too_long": "truncate"}):
        with pytest.raises(RecipeError, match="set data.documents: whole and data.too_long: split"):
            encode(["床前明月光"], 4, stride=2, **options)


def test_the_beginning_of_a_document_is_cut_off_where_the_recipe_says_so():
    (example,), rejected = encode(["abcdef"], 4, "whole", "truncate_start")
    assert TOKENIZER.decode(example["input_ids"]) == "def<|im_end|>"
    assert rejected == [(0, "too_long:truncate_start", "7 tokens, the limit is 4")]
