"""Which label is taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ftkit.evaluation.contents import Confusion

MAX_LABELS = 30
OTHER_LABELS = "(other labels)"
NUM_PAIRS = 20


def count_confusions(
    predicted: Mapping[str, Sequence[int]], true: Sequence[int], labels: Sequence[str]
) -> Confusion:
    """Count true labels against predicted ones.

    Args:
        predicted: of each model, a label's number per row.
        true: the right numbers, one per row.
        labels: their names.
    """
    counted = Counter(true)
    order = sorted(range(len(labels)), key=lambda number: (-counted[number], number))
    if len(labels) > MAX_LABELS:
        order = order[: MAX_LABELS - 1]
    order.sort()
    place = {number: index for index, number in enumerate(order)}
    names = [labels[number] for number in order]
    if len(order) < len(labels):
        names.append(OTHER_LABELS)
    counts = {}
    for who, found in predicted.items():
        matrix = [[0] * len(names) for _ in names]
        for answer, truth in zip(found, true, strict=True):
            matrix[place.get(truth, len(order))][place.get(answer, len(order))] += 1
        counts[who] = matrix
    return {"labels": names, "counts": counts, "most_confused": _list_pairs(predicted, true, labels)}


def _list_pairs(
    predicted: Mapping[str, Sequence[int]], true: Sequence[int], labels: Sequence[str]
) -> list[dict[str, object]]:
    pairs = {
        who: Counter(pair for pair in zip(true, found, strict=True) if pair[0] != pair[1])
        for who, found in predicted.items()
    }
    last = list(pairs.values())[-1]
    return [
        {
            "label": labels[truth],
            "predicted": labels[answer],
            **{who: counts[truth, answer] for who, counts in pairs.items()},
        }
        for (truth, answer), _ in last.most_common(NUM_PAIRS)
    ]
