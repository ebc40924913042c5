import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data import load_rows
from ftkit.data.cleaning import clean_rows, make_rule
from ftkit.data.cleaning.offsets import make_move
from ftkit.data.cleaning.white_space import squeeze_white_space
from ftkit.recipe.sections.cleaning import CleaningRule
from ftkit.tasks import get_task
from ftkit.tasks.answer_spans import read_answers

CONTEXT = "<p>  春眠不觉晓，处处闻啼鸟。</p>  <b>夜来   风雨声</b>，花落知多少。 call 13812345678 now"


def apply(form, row, task):
    return make_rule(CleaningRule.model_validate(form), get_task(task).COLUMNS).apply(row)


@pytest.mark.parametrize(
    "form", ["html", "white_space", "personal_data", {"chinese": "traditional"}, {"urls": "tag"}]
)
@pytest.mark.parametrize("answer", ["闻啼鸟", "夜来   风雨声", "花落", "春眠不觉晓"])
def test_answers_move_with_their_context(form, answer):
    start = CONTEXT.index(answer)
    row = {"context": CONTEXT, "question": "?", "answers": {"text": [answer], "answer_start": [start]}}
    shapes = [
        row,
        {**row, "answers": [{"text": answer, "answer_start": start}]},
        {"context": CONTEXT, "question": "?", "answer": answer, "answer_start": start},
    ]
    for shape in shapes:
        outcome = apply(form, shape, "question-answering")
        after = shape if outcome is None else outcome.row
        (found,) = read_answers(after)  # raises where the answer is not at its start
        assert after["context"][found.start : found.end] == found.text
        simplified = (
            found.text.replace("聞", "闻").replace("鳥", "鸟").replace("來", "来").replace("風", "风")
        )
        simplified = simplified.replace("聲", "声").replace("覺", "觉").replace("曉", "晓")
        assert "".join(simplified.split()) == "".join(answer.split())


def test_questions_without_an_answer_are_cleaned_too():
    row = {"context": " a  b ", "question": " why  ? ", "answers": {"text": [], "answer_start": []}}
    after = apply("white_space", row, "question-answering").row
    assert after == {"context": "a b", "question": "why ?", "answers": {"text": [], "answer_start": []}}


def test_a_row_whose_answer_is_cut_is_left_out():
    row = {"context": "call 13812345678 now", "question": "?", "answer": "1381", "answer_start": 5}
    outcome = apply({"personal_data": "tag"}, row, "question-answering")
    assert outcome.row is None
    assert outcome.detail == "changes a marked place: the place from 5 to 9 is cut"


def test_entities_move_with_their_text():
    text = "<p>Zoe  sat in &amp; 北京</p>"
    spans = [(text.index("Zoe"), "Zoe", "PER"), (text.index("北京"), "北京", "LOC")]
    row = {
        "text": text,
        "entities": [
            {"start": start, "end": start + len(name), "label": kind} for start, name, kind in spans
        ],
    }
    rows, changes = clean_rows(
        load_rows([row]),
        [CleaningRule.model_validate(each) for each in ("html", "white_space")],
        columns=get_task("token-classification").COLUMNS,
    )
    after = rows[0]
    assert after["text"] == "Zoe sat in & 北京"
    assert [after["text"][each["start"] : each["end"]] for each in after["entities"]] == ["Zoe", "北京"]
    assert [entry["rule"] for entry in changes] == ["html", "white_space"]
    assert "entities" in next(iter(changes))["after"]


def test_spans_as_lists_move_and_unknown_forms_are_left_out():
    outcome = apply("white_space", {"text": " a  cat", "entities": [[4, 7, "X"]]}, "token-classification")
    assert outcome.row["entities"] == [[2, 5, "X"]]
    assert (
        apply("white_space", {"text": " a  cat", "entities": [{"begin": 4}]}, "token-classification").row
        is None
    )


def test_a_word_that_would_become_empty_leaves_its_row_out():
    row = {"tokens": ["ok", "http://a.cn"], "tags": ["O", "O"]}
    outcome = apply("urls", row, "token-classification")
    assert outcome.row is None
    assert outcome.detail == "nothing is left of an item of 'tokens'"


@given(
    st.lists(st.sampled_from(["cat", "狗", " ", "  ", "\t", "\n\n\n", "x"]), min_size=1, max_size=12),
    st.data(),
)
def test_a_moved_span_is_what_the_rule_makes_of_it_alone(pieces, data):
    old = "".join(pieces)
    start = data.draw(st.integers(0, len(old) - 1))
    end = data.draw(st.integers(start + 1, len(old)))
    new = squeeze_white_space(old)
    moved = make_move(old, new, squeeze_white_space)(start, end)
    marked = old[start:end]
    if moved is not None:
        assert "".join(new[slice(*moved)].split()) == "".join(marked.split())
    elif marked.strip() == marked:
        assert squeeze_white_space(marked) != marked or not marked
