"""Encoder-decoders of many kinds: the loss at the targets is the one of their own forward."""

import pytest
import torch
import transformers

from ftkit.tasks import Encoding, LossOptions, seq2seq
from ftkit.tasks.supervised_positions import compute_logits

LAYERS = {
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "d_model": 16,
    "max_position_embeddings": 64,
}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2}
ARCHITECTURES = {
    "bart": LAYERS,
    "mbart": LAYERS,
    "pegasus": LAYERS,
    "marian": {**LAYERS, "decoder_vocab_size": 60},
    "m2m_100": LAYERS,
    "blenderbot-small": LAYERS,
    "t5": T5,
    "umt5": T5,
    "longt5": {**T5, "local_radius": 4},
}
EXAMPLES = [
    {"row": 0, "input_ids": [5, 6, 7, 8, 2], "labels": [9, 10, 2]},
    {"row": 1, "input_ids": [11, 2], "labels": [12, 13, 14, 15, 2]},
]


class Pad:
    pad_token_id = 1


def make_model(name):
    torch.manual_seed(0)
    tokens = {"vocab_size": 60, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = transformers.AutoConfig.for_model(name, **ARCHITECTURES[name], **tokens)
    return transformers.AutoModelForSeq2SeqLM.from_config(config).eval()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_loss_is_that_of_the_architectures_own_forward(name):
    model = make_model(name)
    batch = seq2seq.collate(EXAMPLES, Pad(), Encoding(9, "drop"), (0,))
    with torch.no_grad():
        loss = seq2seq.compute_loss(model, batch, LossOptions())
        own = model(**{key: batch[key] for key in ("input_ids", "attention_mask", "labels")}).loss
    assert float(loss) == pytest.approx(float(own) * seq2seq.count_items(batch), rel=1e-5)


def test_a_model_whose_head_cannot_be_told_computes_all_positions():
    class Flat(torch.nn.Module):
        def get_output_embeddings(self):
            return None

        def forward(self, input_ids):
            return transformers.utils.ModelOutput(logits=torch.nn.functional.one_hot(input_ids, 7))

    positions = torch.tensor([[True, False], [False, True]])
    logits = compute_logits(Flat(), {"input_ids": torch.tensor([[3, 4], [5, 6]])}, positions)
    assert logits.argmax(-1).tolist() == [3, 6]
