import chat_templates
import pytest
from chat_templates import make_byte_tokenizer

from ftkit.tasks.assistant_spans import find_assistant_spans, find_marks, make_render, place_tokens

TWO_TURNS = [
    {"role": "user", "content": "What is 2+2?"},
    {"role": "assistant", "content": "Four."},
    {"role": "user", "content": "写一首诗"},
    {"role": "assistant", "content": "春眠不覺曉，處處聞啼鳥。"},
]
STOPS = {
    "CHATML": "<|im_end|>",
    "MARKED_CHATML": "<|im_end|>",
    "LLAMA2": "</s>",
    "LLAMA3": "<|eot_id|>",
    "GEMMA": "<end_of_turn>",
    "PHI3": "<|end|>",
    "ALTERNATING": "<|im_end|>",
}


def find(messages, template, tools=None):
    render = make_render(make_byte_tokenizer(template), tools)
    marks = find_marks(render, chat_templates.SPECIALS)
    text, spans = find_assistant_spans(messages, render, marks)
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("name", STOPS)
def test_every_answer_and_its_stop_token_are_found_and_nothing_else(name):
    found = find(TWO_TURNS, getattr(chat_templates, name))
    space = " " if name == "LLAMA2" else ""  # what its template itself writes around an answer
    expected = [f"{space}{message['content']}{space}{STOPS[name]}" for message in TWO_TURNS[1::2]]
    assert found == expected


def test_a_template_that_renders_the_last_turn_otherwise_still_gives_every_answer():
    messages = [dict(message, reasoning_content="hm") for message in TWO_TURNS]
    found = find(messages, chat_templates.THINKING)
    assert found[0] == "Four.<|im_end|>"
    assert found[1] == "<think>\nhm\n</think>\n\n春眠不覺曉，處處聞啼鳥。<|im_end|>"


def test_a_tool_call_is_part_of_the_assistants_turn_and_its_result_is_not():
    messages = [
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "get", "arguments": {"at": "上海"}}}],
        },
        {"role": "tool", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
    ]
    found = find(messages, chat_templates.TOOLS, tools=[{"type": "function", "function": {"name": "get"}}])
    assert found[0].startswith('<tool_call>{"name": "get"')
    assert found[0].endswith("</tool_call><|im_end|>")
    assert found[1:] == ["It is sunny.<|im_end|>"]


def test_a_template_without_special_tokens_gives_the_whole_turn():
    assert find(TWO_TURNS, chat_templates.NO_MARKS) == ["Four.\n", "春眠不覺曉，處處聞啼鳥。\n"]


def test_an_answer_that_repeats_the_question_is_found_at_its_own_place():
    messages = [{"role": "user", "content": "yes"}, {"role": "assistant", "content": "yes"}]
    render = make_render(make_byte_tokenizer())
    text, spans = find_assistant_spans(messages, render, find_marks(render, chat_templates.SPECIALS))
    assert [text[start:end] for start, end in spans] == ["yes<|im_end|>"]
    assert text[: spans[0][0]].endswith("<|im_start|>assistant\n")


def test_two_answers_in_a_row_are_two_spans():
    messages = [*TWO_TURNS[:2], {"role": "assistant", "content": "Or 4."}]
    assert find(messages, chat_templates.CHATML) == ["Four.<|im_end|>", "Or 4.<|im_end|>"]


def test_tokens_are_marked_by_where_they_end():
    assert place_tokens([2, 4, 6, 8, 10], [(2, 4), (6, 10)]) == [None, 0, None, 1, 1]


def test_no_spans_mark_no_tokens():
    assert place_tokens([1, 2], []) == [None, None]
