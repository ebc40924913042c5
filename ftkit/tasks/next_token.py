"""What causal-lm, chat and seq2seq share: batch, loss, records and scores of next-token prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.tasks.head_loss import list_losses, sum_losses
from ftkit.tasks.padding import IGNORED, pad_inputs, pad_sequences, select_inputs
from ftkit.tasks.protocol import Encoding, LossOptions, Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def collate(
    examples: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    seed: tuple[int, ...],
) -> dict[str, torch.Tensor]:
    """Pad examples into one batch, tensors of shape (examples, tokens); nothing is drawn."""
    import torch

    batch = pad_inputs(examples, tokenizer)
    batch["labels"] = pad_sequences([example["labels"] for example in examples], IGNORED)
    batch["row"] = torch.tensor([example["row"] for example in examples])
    return batch


def count_items(batch: Mapping[str, torch.Tensor]) -> float:
    """Count the supervised tokens, or sum their weights; the first of a row has no prediction.

    The loss is divided by this, so that a weight of 2 does what writing the turn twice would do.
    """
    supervised = batch["labels"][:, 1:] != IGNORED
    if "weights" in batch:
        return float(batch["weights"][:, 1:][supervised].double().sum())
    return int(supervised.sum())


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the cross-entropy summed over the supervised tokens, each times its weight, in nats."""
    positions, targets = find_supervised(batch)
    weights = batch["weights"].roll(-1, dims=1)[positions] if "weights" in batch else None
    return sum_losses(
        model,
        {**select_inputs(batch), "use_cache": False},
        positions,
        targets,
        weights=weights,
        label_smoothing=options.label_smoothing,
    )


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each example's loss, summed over its supervised tokens, and their number."""
    return make_records(batch, *measure_supervised(model, batch))


def measure_supervised(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of each supervised token, in nats, and the example that it is of, both (items,)."""
    positions, targets = find_supervised(batch)
    losses, _ = list_losses(model, {**select_inputs(batch), "use_cache": False}, positions, targets)
    return losses, positions.nonzero()[:, 0]


def make_records(
    batch: Mapping[str, torch.Tensor],
    losses: torch.Tensor,
    owners: torch.Tensor,
    turns: torch.Tensor | None = None,
) -> list[dict[str, Any]]:
    """Sum the loss of each example.

    Args:
        batch: has the rows.
        losses: of the supervised tokens, shape (items,).
        owners: the example of each, shape (items,).
        turns: which answer of its example each belongs to, from 0, shape (items,); the records have the
            sums of each answer, too.
    """
    import torch

    losses = losses.double()
    size = len(batch["row"])
    sums = torch.zeros(size, dtype=torch.double, device=losses.device).index_add_(0, owners, losses)
    counts = torch.bincount(owners, minlength=size)
    columns = zip(batch["row"].tolist(), sums.tolist(), counts.tolist(), strict=True)
    records = [{"row": row, "loss": loss, "num_tokens": number} for row, loss, number in columns]
    if turns is not None:
        for record, some in zip(records, _sum_turns(losses, owners, turns, size), strict=True):
            record["turns"] = some
    return records


def _sum_turns(
    losses: torch.Tensor, owners: torch.Tensor, turns: torch.Tensor, size: int
) -> list[list[tuple[float, int]]]:
    """Return loss and number of tokens of each answer, a list for each example."""
    import torch

    most = int(turns.max()) + 1 if len(turns) else 0
    places = owners * most + turns
    sums = torch.zeros(size * most, dtype=torch.double, device=losses.device).index_add_(0, places, losses)
    pairs = list(zip(sums.tolist(), torch.bincount(places, minlength=size * most).tolist(), strict=True))
    return [[pair for pair in pairs[first * most : (first + 1) * most] if pair[1]] for first in range(size)]


def merge(records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the records as they are: losses add up over examples."""
    return records


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the summed losses in nats and their numbers of tokens, or the texts and what they should be.

    For "schemas", texts and the JSON schema of each; for "samples", programs that passed, and all of them.
    """
    if kind == "samples":
        return [record["num_passed"] for record in records], [record["num_samples"] for record in records]
    if kind == "schemas":
        return [record["text"] for record in records], [record.get("schema") for record in records]
    if kind in ("texts", "json_texts"):
        return [record["text"] for record in records], [record["reference"] for record in records]
    return [record["loss"] for record in records], [record["num_tokens"] for record in records]


def present(prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the record with its mean loss per token, in nats, and without the schema that all rows share."""
    shown = {name: value for name, value in prediction.items() if name != "schema"}
    return {**shown, "loss": prediction["loss"] / max(1, prediction["num_tokens"])}


def predict_trivially(
    predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
) -> list[dict[str, Any]] | None:
    """Return None: the base is the comparison."""
    return None


def explain(predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Return how many tokens the scores are of."""
    return {"num_supervised_tokens": sum(record["num_tokens"] for record in predictions)}


def find_supervised(batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the positions that predict, of shape (examples, tokens), and what they should, (items,)."""
    import torch

    positions = torch.zeros_like(batch["labels"], dtype=torch.bool)
    positions[:, :-1] = batch["labels"][:, 1:] != IGNORED  # a position predicts its neighbour
    return positions, batch["labels"].roll(-1, dims=1)[positions]
