import logging
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from ftkit.errors import MetricError
from ftkit.metrics import measure_rows, score, score_rows
from ftkit.metrics.scripts import find_script, is_unspaced, name_script, split_words
from ftkit.metrics.texts import choose_bleu_tokenizer, measure_exact_match

# the example in sacrebleu's README, and what it says there: BLEU = 48.53, chrF2 = 59.73
SYSTEM = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
REFERENCES = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]

TEXTS = ["bleu", "chrf", "rouge1", "rouge2", "rougeL", "rougeLsum", "exact_match"]
ROUGE = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
ENGLISH = st.text("abAB 12.,'-_\n", max_size=40)


def count_ngrams(tokens, order):
    return Counter(tuple(tokens[start : start + order]) for start in range(len(tokens) - order + 1))


def score_bleu_by_hand(predictions, references):
    """BLEU of tokenized rows as Papineni et al. 2002 define it; every order must match somewhere."""
    logs = []
    for order in range(1, 5):
        hits = sum(
            sum((count_ngrams(predicted, order) & count_ngrams(true, order)).values())
            for predicted, true in zip(predictions, references, strict=True)
        )
        total = sum(max(len(predicted) - order + 1, 0) for predicted in predictions)
        logs.append(math.log(hits / total))
    length, true_length = sum(map(len, predictions)), sum(map(len, references))
    penalty = 1.0 if length >= true_length else math.exp(1 - true_length / length)
    return 100 * penalty * math.exp(sum(logs) / 4)


def score_chrf_by_hand(predictions, references):
    """Compute chrF2 of characters without white space (Popović 2015), orders 1 to 6, over the corpus."""
    precisions, recalls = [], []
    for order in range(1, 7):
        rows = [
            (count_ngrams("".join(predicted.split()), order), count_ngrams("".join(true.split()), order))
            for predicted, true in zip(predictions, references, strict=True)
        ]
        hits = sum(sum((predicted & true).values()) for predicted, true in rows)
        precisions.append(hits / sum(sum(predicted.values()) for predicted, _ in rows))
        recalls.append(hits / sum(sum(true.values()) for _, true in rows))
    precision, recall = sum(precisions) / 6, sum(recalls) / 6
    return 100 * 5 * precision * recall / (4 * precision + recall)


def find_longest_common(first, second):
    """Length of the longest common subsequence, straight from its recursive definition."""
    if not first or not second:
        return 0
    if first[-1] == second[-1]:
        return find_longest_common(first[:-1], second[:-1]) + 1
    return max(find_longest_common(first[:-1], second), find_longest_common(first, second[:-1]))


def test_bleu_and_chrf_are_those_of_the_published_example():
    assert score("bleu", SYSTEM, REFERENCES) == pytest.approx(48.53, abs=0.005)
    assert score("chrf", SYSTEM, REFERENCES) == pytest.approx(59.73, abs=0.005)


def test_bleu_of_chinese_counts_characters():
    predictions, references = ["请打开设置文件", "关闭所有的窗口"], ["请打开配置文件夹", "关闭所有的窗口吧"]
    expected = score_bleu_by_hand([list(text) for text in predictions], [list(text) for text in references])
    assert score("bleu", predictions, references) == pytest.approx(expected)
    assert expected > 50


@pytest.mark.parametrize(
    ("predictions", "references"),
    [
        (["请打开设置文件", "关闭所有的窗口"], ["请打开配置文件夹", "关闭所有的窗口吧"]),
        (["the small dogs run", "a cat sleeps"], ["the small dog runs home", "the cat is sleeping"]),
    ],
)
def test_chrf_is_that_of_its_definition(predictions, references):
    expected = score_chrf_by_hand(predictions, references)
    assert score("chrf", predictions, references) == pytest.approx(expected)


def test_an_english_tokenizer_would_score_chinese_near_zero():
    predictions, references = ["请打开设置文件", "关闭所有的窗口"], ["请打开配置文件夹", "关闭所有的窗口吧"]
    assert score("bleu", predictions, references, tokenize="13a") == 0.0


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "exact_match"])
@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("这个模块提供正则表达式匹配操作", "本模块提供了正则表达式匹配操作"),
        ("設定ファイルを開いてください", "設定ファイルを開いて下さい"),
        ("กรุณาเปิดไฟล์การตั้งค่า", "โปรดเปิดไฟล์การตั้งค่า"),
        ("Die Schlüssel müssen größer sein als eins", "Die Schlüssel müssen größer als null sein"),
        ("파일 설정을 여는 방법은 다음과 같다", "파일 설정을 여는 방법은 이와 같다"),
        ("कृपया सेटिंग फ़ाइल को यहाँ खोलें", "कृपया सेटिंग फ़ाइल को अभी खोलें"),
    ],
)
def test_a_good_text_scores_above_zero_in_any_script(name, prediction, reference):
    low, high = (5, 100) if name in ("bleu", "chrf") else (0.05, 1)
    assert low < score(name, [prediction], [reference]) < high


@pytest.mark.parametrize("name", TEXTS)
def test_empty_predictions_score_zero(name):
    assert score(name, ["", ""], ["a small dog", "一只小狗"]) == 0.0


@pytest.mark.parametrize("name", TEXTS)
def test_several_references_score_as_the_best_of_them(name):
    one = score(name, ["the small dog runs home"], ["the small dog runs home"])
    assert score(name, ["the small dog runs home"], [["a cat", "the small dog runs home"]]) == pytest.approx(
        one
    )


@pytest.mark.parametrize("name", TEXTS)
def test_rows_may_have_different_numbers_of_references(name):
    predictions = ["the small dog runs home", "a cat sleeps on the big red sofa"]
    references = [["the small dog runs home"], ["no", "a cat sleeps on the big red sofa"]]
    assert score(name, predictions, references) == pytest.approx(100 if name in ("bleu", "chrf") else 1)


def test_bleu_says_which_tokenizer_it_chose(caplog):
    caplog.set_level(logging.INFO, logger="ftkit")
    score("bleu", ["打开文件"], ["打开文件夹"])
    assert "tokenizer zh" in caplog.text


def test_bleu_warns_where_no_text_has_four_words(caplog):
    assert score("bleu", ["open file"], ["open file"]) == 0.0
    assert "no prediction has four words" in caplog.text


def test_an_unknown_tokenizer_is_an_error():
    with pytest.raises(MetricError, match="unknown tokenizer 'chinese'; sacrebleu has .*zh"):
        score("bleu", ["a"], ["a"], tokenize="chinese")


@pytest.mark.parametrize(
    ("texts", "tokenizer"),
    [
        (["Open the file."], "13a"),
        (["Öffnen Sie die Datei."], "13a"),
        (["打开文件。"], "zh"),
        (["打开 settings.json 与 config.yaml"], "zh"),
        (["ファイルを開く"], "char"),
        (["เปิดไฟล์"], "char"),
        (["파일 열기"], "13a"),
        (["the word 好 means good and is quite common in Chinese"], "13a"),
        (
            [
                "他说「ありがとう」就是谢谢的意思，这是一个常见的日语词语，用来表示对别人的感谢之情，人们每天都会用到它很多次"
            ],
            "zh",
        ),
        ([""], "13a"),
        (["123 456"], "13a"),
    ],
)
def test_the_script_of_the_references_chooses_how_bleu_finds_words(texts, tokenizer):
    assert choose_bleu_tokenizer([texts]) == tokenizer


@given(ENGLISH)
def test_english_words_are_those_of_rouges_own_tokenizer(text):
    assert split_words(text) == DefaultTokenizer().tokenize(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Größe: ÄNDERN!", ["größe", "ändern"]),
        ("cafe\u0301", ["café"]),
        ("把file打开", ["把", "file", "打", "开"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("日本の犬", ["日", "本", "の", "犬"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("snake_case, 3.5", ["snake", "case", "3", "5"]),
        ("…，。！", []),
    ],
)
def test_words_of_other_scripts_keep_their_letters(text, words):
    assert split_words(text) == words


def test_scripts_are_told_apart():
    assert [find_script([text]) for text in ("a dog", "一只狗", "犬がいる", "")] == [
        "spaced",
        "han",
        "unspaced",
        "spaced",
    ]
    assert is_unspaced("a 狗")
    assert not is_unspaced("한국어 Größe")


def test_rouge_of_the_examples_in_the_paper():
    # Lin 2004, section 3: the longest common sequence tells S2 from S3, pairs of words do not
    reference = ["police killed the gunman"] * 2
    predictions = ["police kill the gunman", "the gunman kill police"]
    assert score_rows("rougeL", predictions, reference).tolist() == [0.75, 0.5]
    assert score_rows("rouge2", predictions, reference).tolist() == pytest.approx([1 / 3, 1 / 3])


def test_rouge_lsum_joins_the_matches_of_all_sentences_as_in_the_paper():
    # Lin 2004, section 3.2: w1 w2 w3 w5 of five words are found, in two sentences of five words each
    found = score("rougeLsum", ["w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5"], ["w1 w2 w3 w4 w5"])
    recall, precision = 4 / 5, 4 / 10
    assert found == pytest.approx(2 * recall * precision / (recall + precision))


@given(ENGLISH, ENGLISH)
@settings(deadline=None)
def test_rouge_of_english_is_that_of_the_reference_implementation(prediction, reference):
    expected = RougeScorer(ROUGE, use_stemmer=False).score(reference, prediction)
    for name in ROUGE:
        assert score(name, [prediction], [reference]) == pytest.approx(expected[name].fmeasure)


@given(st.text("猫狗人", min_size=1, max_size=7), st.text("猫狗人", min_size=1, max_size=7))
@settings(deadline=None)
def test_rouge_of_chinese_is_computed_over_characters(prediction, reference):
    length = len(prediction) + len(reference)
    shared = sum((Counter(prediction) & Counter(reference)).values())
    assert score("rouge1", [prediction], [reference]) == pytest.approx(2 * shared / length)
    common = find_longest_common(prediction, reference)
    assert score("rougeL", [prediction], [reference]) == pytest.approx(2 * common / length)


def test_rouge_lsum_of_chinese_takes_a_line_for_a_sentence():
    # both sentences are found, in another order: line by line all of it, as one sequence half of it
    prediction, reference = "小狗回家\n大猫睡觉", "大猫睡觉\n小狗回家"
    assert score("rougeLsum", [prediction], [reference]) == 1.0
    assert score("rougeL", [prediction], [reference]) == 0.5


def test_rouge_averages_rows_however_long_they_are():
    predictions, references = ["dog", "a b c d e f"], ["dog", "u v w x y z"]
    assert score("rouge1", predictions, references) == 0.5


def test_exact_match_forgives_white_space_at_the_ends_and_the_unicode_form_only():
    predictions = [" yes\n", "cafe\u0301", "Yes", "yes."]
    assert score_rows("exact_match", predictions, ["yes", "café", "yes", "yes"]).tolist() == [1, 1, 0, 0]


def test_exact_match_can_ignore_case_and_punctuation_of_any_script():
    loose = measure_exact_match(
        ["STRASSE!", "「好」，谢谢。", "a - b"],
        ["straße", "好谢谢", "a b"],
        ignore_case=True,
        ignore_punctuation=True,
    )
    assert loose[:, 0].tolist() == [1, 1, 1]


def test_two_empty_texts_match_exactly():
    assert score("exact_match", [""], [""]) == 1.0


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([None], ["a"], r"predictions\[0\] is no text; found None"),
        (["a"], [[1]], r"references\[0\] is no text; found 1"),
        (["a", "b"], ["a", []], r"references\[1\] is an empty list"),
    ],
)
def test_what_is_no_text_is_an_error(name, predictions, references, message):
    with pytest.raises(MetricError, match=message):
        score(name, predictions, references)


def test_the_columns_of_bleu_and_chrf_are_counts():
    for name, columns in (("bleu", 10), ("chrf", 18)):
        rows = measure_rows(name, SYSTEM, REFERENCES)
        assert rows.shape == (3, columns)
        assert (rows == rows.astype(int)).all()


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("the cat", "Latin"),
        ("床前明月光，疑是 moon", "Han"),
        ("吾輩は猫である", "Japanese"),
        ("Привет, мир", "Cyrillic"),
        ("안녕 세상", "Hangul"),
        ("ᚠᚢᚦ", "other"),
        ("12 + 3", "none"),
        ("", "none"),
    ],
)
def test_a_text_is_named_by_the_script_of_most_letters(text, script):
    assert name_script(text) == script
