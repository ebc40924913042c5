"""A model that cannot be had, or does not fit, ends in one message; nothing is left behind."""

import shutil

import pytest


@pytest.fixture
def refuse_model(refuse, here, tiny_bert):
    """Fine-tune a damaged copy of the tiny BERT."""

    def check(message, damage):
        shutil.copytree(tiny_bert, here / "model")
        damage(here / "model")
        return refuse(message, "model=model")

    return check


def test_a_folder_that_is_not_there_names_those_that_are(refuse, here):
    (here / "models").mkdir()
    refuse(
        r"\S+/modles: no such file or folder; the folder \S+ has models/.*; check the name", "model=./modles"
    )


def test_a_hub_that_cannot_be_reached_says_what_is_cached(refuse, monkeypatch):
    monkeypatch.setattr("ftkit.sources.hub.list_cached_repos", lambda kind: ["org/one", "org/two"])
    message = (
        r"org/three: no such path here; the hub is switched off \(HF_HUB_OFFLINE=1\), and its cache has no "
        r"copy; cached: org/one, org/two; use one of these, a path or a pypi: source, or try again with .*"
    )
    refuse(message, "model=org/three")


def test_a_folder_without_a_model_says_what_is_missing(refuse_model):
    refuse_model(
        r"\S+/model: not a checkpoint: no config\.json; found .*", lambda at: (at / "config.json").unlink()
    )


def test_weights_that_are_pickled_are_refused_unless_the_recipe_allows_it(refuse_model):
    def pickle(at):
        (at / "model.safetensors").rename(at / "pytorch_model.bin")

    message = r"\S+/model: the weights are pickled, .* found pytorch_model\.bin; .* model\.allow_pickle: true"
    refuse_model(message, pickle)


def test_weights_that_are_damaged_are_named(refuse_model):
    def cut(at):
        (at / "model.safetensors").write_bytes((at / "model.safetensors").read_bytes()[:300])

    refuse_model(r"\S+/model: model\.safetensors is damaged; .*; fetch the checkpoint again", cut)


def test_a_checkpoint_without_a_tokenizer_says_what_to_set(refuse_model):
    def strip(at):
        for path in at.glob("tokenizer*"):
            path.unlink()

    refuse_model(r"\S+/model: no tokenizer: .*; set model\.tokenizer to .*", strip)


def test_an_architecture_that_cannot_do_the_task_says_what_it_can(refuse, tiny_bert):
    message = r"\S+: a 'bert' model cannot do chat; it can do .*text-classification.*; change the task, or .*"
    refuse(message, f"model={tiny_bert}", recipe="chat.yaml")


def test_a_tokenizer_without_a_chat_template_says_what_to_take(refuse, tiny_gpt2):
    message = r".*the tokenizer has no chat template, .*; take an instruction-tuned base, or give.*"
    refuse(message, f"model={tiny_gpt2}", recipe="chat.yaml")


def test_a_gguf_file_of_an_unknown_architecture_says_what_to_use(refuse, here):
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(here / "odd.gguf", "quokka")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    message = r"\S+/odd\.gguf: .*quokka.*; transformers cannot read this architecture from GGUF; use the .*"
    refuse(message, "model=odd.gguf", recipe="chat.yaml")


def test_a_file_that_is_no_gguf_says_so(refuse, here):
    (here / "odd.gguf").write_bytes(b"something else")
    refuse(r"\S+/odd\.gguf: not a GGUF file, whatever its name says; fetch it again", "model=odd.gguf")


def test_a_package_without_a_version_says_how_to_write_it(refuse):
    message = r"pypi:some-model: the version is missing; write pypi:some-model==VERSION/\.\.\."
    refuse(message, "model=pypi:some-model")


def test_more_tokens_than_the_model_reads_are_refused(refuse):
    message = r"data\.max_tokens: is 4000, but the model reads at most 128 tokens.*"
    refuse(message, "data.max_tokens=4000")


def test_a_precision_that_the_device_lacks_is_refused(refuse):
    message = r"training\.precision: float16 does not train on CPU.*; set it to .*auto"
    refuse(message, "training.precision=float16")


def test_targets_that_match_no_layer_list_the_layers(refuse):
    message = (
        r"adapter\.targets: no layer matches 'q_projj'; nearest: .*; "
        r"layers that can be named: .*query, .*value.*; or all-linear"
    )
    refuse(message, "adapter={method: lora, targets: [q_projj, value]}")
