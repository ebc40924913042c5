import pytest

from ftkit.tasks.conversations import read_conversation

USER, ANSWER = {"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好！"}


def test_messages_are_taken_as_they_are():
    assert read_conversation({"messages": [USER, ANSWER]}).messages == [USER, ANSWER]


def test_messages_as_json_text_are_read():
    row = {"messages": '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]'}
    assert [message["content"] for message in read_conversation(row).messages] == ["a", "b"]


def test_sharegpt_roles_are_renamed():
    row = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    assert read_conversation(row).messages == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]


def test_instruction_and_input_become_one_prompt():
    row = {"instruction": "Translate", "input": "好", "output": "good"}
    assert read_conversation(row).messages == [
        {"role": "user", "content": "Translate\n\n好"},
        {"role": "assistant", "content": "good"},
    ]


def test_an_empty_input_adds_nothing_to_the_instruction():
    row = {"instruction": "Say hi", "input": "", "output": "hi"}
    assert read_conversation(row).messages[0]["content"] == "Say hi"


def test_history_comes_before_the_prompt_and_system_before_all():
    row = {"system": "Be kind", "history": [["a", "b"]], "prompt": "c", "answer": "d"}
    roles = [(message["role"], message["content"]) for message in read_conversation(row).messages]
    assert roles == [
        ("system", "Be kind"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ]


def test_arguments_of_a_tool_call_become_a_mapping():
    call = {"type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    row = {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [call]}], "tools": "[]"}
    conversation = read_conversation(row)
    assert conversation.messages[1]["tool_calls"][0]["function"]["arguments"] == {"x": 1}
    assert conversation.messages[1]["content"] == ""
    assert conversation.tools is None


def test_an_unanswered_prompt_is_good_for_prediction_only():
    assert read_conversation({"prompt": "a"}, labelled=False).messages == [{"role": "user", "content": "a"}]
    with pytest.raises(ValueError, match="no conversation found"):
        read_conversation({"prompt": "a"})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [USER]}, "no message has the role 'assistant'"),
        ({"messages": []}, "has no messages"),
        ({"messages": "hello"}, "text that is not JSON"),
        ({"messages": {"role": "user"}}, "is a dict; expected a list"),
        ({"messages": [{"content": "x"}]}, "message 1 has no 'role'"),
        ({"messages": [USER, {"role": "assistant"}]}, r"message 2 \(assistant\) has no 'content'"),
        ({"messages": [USER, {"role": "assistant", "content": ""}]}, r"message 2 \(assistant\) is empty"),
        ({"messages": [USER, {"role": "assistant", "content": 3}]}, "'content' is 3; expected text"),
        ({"prompt": ["a"], "answer": "b"}, "column 'prompt' is a list; expected text"),
        ({"prompt": "a", "answer": "b", "tools": "{"}, "column 'tools' is text that is not JSON"),
        ({"frage": "a", "antwort": "b"}, "'frage', 'antwort'"),
    ],
)
def test_a_row_that_is_no_conversation_is_explained(row, message):
    with pytest.raises(ValueError, match=message):
        read_conversation(row)
