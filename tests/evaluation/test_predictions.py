import pytest
import torch
from tiny_models import make_chat_tokenizer

from ftkit.data import Prepared, load_rows
from ftkit.errors import DeviceMemoryError
from ftkit.evaluation.predictions import predict_split
from ftkit.tasks import Encoding, get_task
from ftkit.tasks.encoding import Split


@pytest.fixture
def split():
    import datasets

    lengths = [5, 40, 3, 17, 40, 9, 28]
    examples = [
        {"row": row, "input_ids": list(range(5, 5 + length)), "labels": list(range(5, 5 + length))}
        for row, length in enumerate(lengths)
    ]
    return Split(
        "test", load_rows([{}]), Prepared(datasets.Dataset.from_list(examples), []), Encoding(64, "drop")
    )


@pytest.fixture
def model(tiny_llama):
    import transformers

    return transformers.AutoModelForCausalLM.from_pretrained(tiny_llama).train()


def test_every_example_has_one_record_in_its_order_with_the_loss_it_has_alone(model, split):
    task = get_task("chat")
    records = predict_split(model, make_chat_tokenizer(), task, split)
    assert [record["row"] for record in records] == list(range(7))
    model.eval()
    for record in records:
        ids = torch.tensor([split.examples[record["row"]]["input_ids"]])
        with torch.no_grad():
            alone = float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)
        # float32, other batches
        assert record["loss"] == pytest.approx(alone, rel=1e-5)


def test_the_model_is_left_as_it_was(model, split):
    predict_split(model, make_chat_tokenizer(), get_task("chat"), split)
    assert model.training
    assert all(weights.requires_grad for weights in model.parameters())


def test_the_base_is_scored_without_padding_under_autocast_too(model, split, monkeypatch):
    seen = []
    original = torch.nn.functional.scaled_dot_product_attention

    def spy(query, *arguments, **options):
        seen.append(query.shape[:1] + query.shape[2:3])
        return original(query, *arguments, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", spy)
    predict_split(model, make_chat_tokenizer(), get_task("chat"), split, compute_dtype="bfloat16")
    lengths = {(1, len(example["input_ids"])) for example in split.examples}
    assert lengths <= {tuple(shape) for shape in seen}


def test_out_of_memory_is_met_with_smaller_batches(model, split, monkeypatch):
    task = get_task("chat")
    expected = predict_split(model, make_chat_tokenizer(), task, split)
    original, sizes = task.predict, []

    def fail_when_large(model, batch, examples):
        sizes.append(len(examples))
        if len(examples) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(model, batch, examples)

    monkeypatch.setattr(task, "predict", fail_when_large)
    records = predict_split(model, make_chat_tokenizer(), task, split)
    assert max(sizes) > 2
    for record, other in zip(records, expected, strict=True):
        assert record["loss"] == pytest.approx(other["loss"], rel=1e-5)


def test_one_example_that_does_not_fit_is_explained(model, split, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(get_task("chat"), "predict", fail)
    with pytest.raises(DeviceMemoryError, match=r"one example of \d+ tokens .* data.max_tokens lower"):
        predict_split(model, make_chat_tokenizer(), get_task("chat"), split)
