import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import make_byte_level_tokenizer, make_unigram_tokenizer, make_wordpiece_tokenizer

from ftkit.errors import DataError, RecipeError
from ftkit.tasks.segmenter import fingerprint_segmenter, load_segmenter
from ftkit.tasks.whole_words import find_words, mark_word_starts

TOKENIZERS = {
    "wordpiece": make_wordpiece_tokenizer(),
    "byte-level": make_byte_level_tokenizer(["<s>", "</s>", "<mask>", "<pad>"]),
    "unigram": make_unigram_tokenizer(),
}
TEXT = "the unseen catdog, 床前明月光 isn't moonlike"


def make_units(name, text, segment=None):
    """The text of each unit of tokens, spaces taken off."""
    encoded = TOKENIZERS[name](text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = encoded["offset_mapping"]
    units = []
    for (begin, end), starts in zip(
        offsets, mark_word_starts(offsets, find_words(text, segment)), strict=True
    ):
        if starts:
            units.append([begin, end])
        else:
            units[-1][1] = end
    return [text[begin:end].strip() for begin, end in units if text[begin:end].strip()]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_words_stay_whole_under_every_kind_of_tokenizer(name):
    units = make_units(name, TEXT)
    assert units[:3] == ["the", "unseen", "catdog"]
    assert units[-1] == "moonlike"
    assert "".join(units) == TEXT.replace(" ", "")


@pytest.mark.parametrize("name", TOKENIZERS)
def test_chinese_goes_by_the_character_even_where_it_takes_several_bytes(name):
    assert make_units(name, "霜床你举") == ["霜", "床", "你", "举"]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_chinese_goes_by_the_users_segmenter(name):
    def segment(text):
        return [text[place : place + 2] for place in range(0, len(text), 2)]

    assert make_units(name, "床前明月光 cat 地上霜", segment) == ["床前", "明月", "光", "cat", "地上", "霜"]


def test_a_segmenter_sees_only_text_without_spaces():
    seen = []

    def segment(text):
        seen.append(text)
        return [text]

    assert find_words("hello 世界, 你好!", segment) == [(0, 5), (6, 8), (10, 12)]
    assert seen == ["世界", "你好"]


def mark_slowly(offsets, words):
    """Compare each token with every word."""
    marks, reached = [], -1
    for begin, end in offsets:
        touched = [number for number, (left, right) in enumerate(words) if left < end and right > begin]
        marks.append(not touched or touched[0] > reached)
        reached = max([reached, *touched])
    return marks


@settings(max_examples=200, deadline=None)
@given(
    edges=st.lists(st.integers(0, 30), unique=True, max_size=14),
    tokens=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=12),
)
def test_marks_are_those_of_comparing_all_with_all(edges, tokens):
    edges = sorted(edges)
    words = list(zip(edges[::2], edges[1::2], strict=False))
    offsets = sorted((begin, begin + length) for begin, length in tokens)
    assert mark_word_starts(offsets, words) == mark_slowly(offsets, words)


def test_a_token_over_two_words_joins_them():
    assert mark_word_starts([(0, 1), (1, 5), (5, 6), (7, 8)], [(0, 3), (3, 6), (7, 8)]) == [
        True, False, False, True,
    ]  # fmt: skip


def test_a_segmenter_is_found_by_its_name_and_checked(tmp_path, monkeypatch):
    (tmp_path / "my_words.py").write_text(
        "def pairs(text):\n    return [text[i:i+2] for i in range(0, len(text), 2)]\n"
        "def loses(text):\n    return text[:-1]\nnumber = 3\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_segmenter("my_words:pairs")("床前明") == ["床前", "明"]
    with pytest.raises(DataError, match=r"lost or changed characters; of '床前明'"):
        load_segmenter("my_words:loses")("床前明")
    with pytest.raises(RecipeError, match="has no 'fairs'"):
        load_segmenter("my_words:fairs")
    with pytest.raises(RecipeError, match="is no function"):
        load_segmenter("my_words:number")
    assert len(fingerprint_segmenter("my_words:pairs")) == 16


@pytest.mark.parametrize("name", ["jieba", ":cut", "no_such_module_here:cut"])
def test_a_segmenter_that_is_not_there_is_a_mistake_of_the_recipe(name):
    with pytest.raises(RecipeError, match=r"data\.segmenter"):
        load_segmenter(name)
