"""Texts come back one per prompt, in order, without the prompt."""

import logging

import pytest
import torch
import transformers

from ftkit.errors import RecipeError
from ftkit.models.generation import (
    GenerationOptions,
    fit_length,
    generate_batch,
    generate_many,
    list_stop_ids,
    stream_text,
)

SOURCES = ["cat", "the cat sat on the mat and the dog", "床前明月光", "hello world, good day"]


def load(folder, auto_class):
    model = getattr(transformers, auto_class).from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


@pytest.fixture(
    params=[("tiny_llama", "AutoModelForCausalLM"), ("tiny_t5", "AutoModelForSeq2SeqLM")], ids=str
)
def loaded(request):
    name, auto_class = request.param
    model, tokenizer = load(request.getfixturevalue(name), auto_class)
    for name, weights in model.named_parameters():
        if "EncDecAttention" in name:  # so that random weights hear what they read
            weights.data *= 20
    return model, tokenizer


def write_alone(model, tokenizer, ids, **arguments):
    """Write without any padding, as a user of plain transformers would."""
    inputs = torch.tensor([ids])
    output = model.generate(
        input_ids=inputs, attention_mask=torch.ones_like(inputs), do_sample=False, **arguments
    )[0]
    start = 1 if model.config.is_encoder_decoder else len(ids)
    return tokenizer.decode(output[start:], skip_special_tokens=True)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_batch_gives_each_prompt_what_it_gets_alone(loaded, num_beams):
    model, tokenizer = loaded
    prompts = [tokenizer(source)["input_ids"] for source in SOURCES]
    options = GenerationOptions(max_new_tokens=8, num_beams=num_beams)
    written = [one.text for one in generate_many(model, tokenizer, prompts, options)]
    alone = [
        write_alone(model, tokenizer, ids, max_new_tokens=8, num_beams=num_beams, min_length=0)
        for ids in prompts
    ]
    assert written == alone
    assert len(set(written)) > 1


def test_more_prompts_than_a_batch_holds_come_back_in_their_order(loaded, monkeypatch):
    model, tokenizer = loaded
    prompts = [tokenizer(source)["input_ids"] for source in SOURCES * 3]
    options = GenerationOptions(max_new_tokens=5)
    whole = generate_batch(model, tokenizer, prompts, options)
    monkeypatch.setattr("ftkit.models.generation.CPU_BATCH_TOKENS", 40)
    assert generate_many(model, tokenizer, prompts, options) == whole


def test_no_prompts_give_no_texts(loaded):
    assert generate_many(*loaded, [], GenerationOptions()) == []


def test_a_text_is_finished_where_the_model_ends_it(loaded):
    model, tokenizer = loaded
    ids = tokenizer("cat")["input_ids"]
    (cut,) = generate_many(model, tokenizer, [ids], GenerationOptions(max_new_tokens=3))
    assert not cut.finished
    output = model.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids)),
        max_new_tokens=3,
        do_sample=False,
    )
    model.generation_config.eos_token_id = int(output[0, -1])
    (ended,) = generate_many(model, tokenizer, [ids], GenerationOptions(max_new_tokens=30))
    assert ended.finished


def test_the_stream_of_an_encoder_decoder_is_its_text(tiny_t5):
    model, tokenizer = load(tiny_t5, "AutoModelForSeq2SeqLM")
    ids = tokenizer("the cat")["input_ids"]
    options = GenerationOptions(max_new_tokens=8)
    assert (
        "".join(stream_text(model, tokenizer, ids, options))
        == generate_many(model, tokenizer, [ids], options)[0].text
    )


def test_a_stream_that_is_left_stops_the_model(tiny_llama):
    model, tokenizer = load(tiny_llama, "AutoModelForCausalLM")
    steps = []
    model.register_forward_hook(lambda *_: steps.append(1))
    stream = stream_text(
        model, tokenizer, tokenizer("cat")["input_ids"], GenerationOptions(max_new_tokens=400)
    )
    next(stream)
    stream.close()
    assert len(steps) < 400


def test_a_checkpoints_own_settings_do_not_come_back_in(tiny_llama):
    model, tokenizer = load(tiny_llama, "AutoModelForCausalLM")
    ids = tokenizer("cat")["input_ids"]
    options = GenerationOptions(max_new_tokens=8)
    plain = generate_many(model, tokenizer, [ids], options)
    model.generation_config.update(do_sample=True, temperature=5.0, no_repeat_ngram_size=1, num_beams=4)
    assert generate_many(model, tokenizer, [ids], options) == plain


def test_the_length_penalty_reaches_the_beams(tiny_t5):
    model, tokenizer = load(tiny_t5, "AutoModelForSeq2SeqLM")
    arguments = GenerationOptions(num_beams=2, length_penalty=-3.0).as_arguments()
    assert arguments["length_penalty"] == -3.0
    assert "length_penalty" not in GenerationOptions().as_arguments()  # the library warns about it


def test_all_end_tokens_stop(tiny_llama):
    model, tokenizer = load(tiny_llama, "AutoModelForCausalLM")
    model.generation_config.eos_token_id = [0, 5]
    assert list_stop_ids(model, tokenizer) == {0, 5, tokenizer.eos_token_id}
    model.generation_config.eos_token_id = None
    assert list_stop_ids(model, tokenizer) == {tokenizer.eos_token_id}


def test_a_text_ends_where_the_models_positions_do_and_that_is_said(tiny_bart, tiny_gpt2, caplog):
    model, tokenizer = load(tiny_bart, "AutoModelForSeq2SeqLM")
    with caplog.at_level(logging.WARNING):
        assert fit_length(model, 60, GenerationOptions(max_new_tokens=100)).max_new_tokens == 63
    assert "at most 63 tokens" in caplog.text
    assert generate_many(model, tokenizer, [[5, 6]], GenerationOptions(max_new_tokens=100))
    model, tokenizer = load(tiny_gpt2, "AutoModelForCausalLM")
    assert fit_length(model, 100, GenerationOptions(max_new_tokens=100)).max_new_tokens == 28
    with pytest.raises(
        RecipeError, match="the prompt has 128 tokens, and the model reads at most 128 in all"
    ):
        fit_length(model, 128, GenerationOptions())
