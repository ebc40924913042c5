from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.cleaning.languages import identify_language, make_languages, make_scripts
from ftkit.data.cleaning.lengths import make_max_characters, make_min_characters, measure_repetition


def test_characters_are_counted_without_white_space_over_all_texts():
    judge = make_min_characters(6)
    assert judge(["床前 明月光\n", "x"]) is None
    assert judge(["床前 明月光\n"]) == "5 characters, fewer than 6"
    assert make_max_characters(4)(["床前", " 明月", "光"]) == "5 characters, more than 4"
    assert make_max_characters(5)(["床前明月光"]) is None


@given(st.text(alphabet="ab 月", max_size=90))
def test_repetition_is_that_of_the_slow_way(text):
    plain = "".join(text.split())
    seen, num_repeated = [], 0
    pieces = [plain[start : start + 10] for start in range(len(plain) - 9)]
    for piece in pieces:
        num_repeated += piece in seen
        seen.append(piece)
    expected = num_repeated / len(pieces) if len(plain) >= 50 else 0
    assert abs(measure_repetition(text) - expected) < 1e-9


def test_real_text_repeats_little_and_spam_of_one_line_much(poems, pages):
    assert max(map(measure_repetition, poems)) < 0.5
    assert sum(measure_repetition(page) > 0.5 for page in pages) <= len(pages) // 10
    assert measure_repetition("买买买，快来买！" * 20) > 0.9
    assert measure_repetition("Buy now! " * 20) > 0.9


def test_letters_of_other_scripts_are_judged_by_their_share():
    judge = make_scripts(["Han", "Latin"], 0.8)
    assert judge(["中文 and English 混合 123，。"]) is None
    assert judge(["Привет мир ok"]) == "18% of 11 letters are Han or Latin, fewer than 80%"
    assert judge(["123 !!!"]) is not None


def test_languages_of_real_texts_are_identified(poems, pages, mails):
    assert [identify_language(poem)[0] for poem in poems].count("zh") > 0.98 * len(poems)
    assert [identify_language(page)[0] for page in pages].count("en") > 0.95 * len(pages)
    judge = make_languages(["zh"], 0.5)
    assert sum(judge([poem]) is None for poem in poems) > 0.98 * len(poems)
    assert sum(judge([page]) is not None for page in pages) > 0.9 * len(pages)
    assert judge(["ok"]) is None
    assert judge(["Das ist ein deutscher Satz über das Wetter."]).startswith("de with probability")
    assert identify_language("今天天气很好，我们去公园。")[0] == "zh"
    assert identify_language("日本語の文章です。")[0] == "ja"
    assert identify_language("12345 !") is None
