import pytest

from ftkit.errors import RecipeError
from ftkit.inference import GenerationOptions


def test_generation_is_greedy_unless_something_else_is_asked_for():
    arguments = GenerationOptions().as_arguments()
    assert arguments["do_sample"] is False
    assert arguments["temperature"] is None


@pytest.mark.parametrize("option", [{"temperature": 0.5}, {"top_p": 1.0}, {"top_k": 1}])
def test_any_option_of_sampling_switches_it_on(option):
    arguments = GenerationOptions(**option).as_arguments()
    assert arguments["do_sample"] is True
    assert arguments["temperature"] == option.get("temperature", 1.0)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens: must be 1 or more; found 0"),
        ({"num_beams": -1}, "num_beams: must be 1 or more; found -1"),
        ({"top_k": 0}, "top_k: must be 1 or more; found 0"),
        ({"temperature": 0.0}, "temperature: must be above 0; found 0.0. Leave it out for greedy"),
        ({"temperature": float("nan")}, "temperature: must be above 0; found nan. Leave it out for greedy"),
        ({"top_p": 0.0}, "top_p: must be above 0 and at most 1; found 0.0"),
        ({"top_p": 1.1}, "top_p: must be above 0 and at most 1; found 1.1"),
        ({"repetition_penalty": 0.0}, "repetition_penalty: must be above 0; found 0.0"),
    ],
)
def test_an_option_that_no_model_could_follow_is_refused_at_once(option, message):
    with pytest.raises(RecipeError) as caught:
        GenerationOptions(**option)
    assert str(caught.value) == message


def test_all_wrong_options_come_at_once():
    with pytest.raises(RecipeError) as caught:
        GenerationOptions(max_new_tokens=0, top_p=2.0)
    assert len(str(caught.value).splitlines()) == 2
