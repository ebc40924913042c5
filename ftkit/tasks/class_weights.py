"""How much each label weighs in the loss."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from ftkit.errors import RecipeError


def make_class_weights(
    setting: str | Mapping[str, float],
    label_counts: Mapping[str, int],
    labels: Sequence[str],
    *,
    num_rows: int,
    multi_label: bool = False,
) -> tuple[float, ...]:
    """Turn the recipe's `training.class_weights` into a weight for each label.

    Args:
        setting: `none`, `balanced`, or weights by name; labels that it does not name weigh 1.
        label_counts: training rows of each label.
        labels: names in the order of their ids.
        num_rows: of training.
        multi_label: whether a row may have several labels.

    Returns:
        One weight a label, empty for `none`. `balanced` weighs all labels alike in sum, as scikit-learn
        does: rows / (labels * rows of the label). With several labels for a row it is the rows without
        the label for one row with it, which is what torch's `pos_weight` asks for.

    Raises:
        RecipeError: a weight for a label that there is not.
    """
    if setting == "none":
        return ()
    if isinstance(setting, Mapping):
        for name in setting.keys() - set(labels):
            near = difflib.get_close_matches(name, labels, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the labels are {', '.join(labels[:10])}"
            raise RecipeError(f"training.class_weights.{name}: the rows have no such label; {hint}")
        return tuple(float(setting.get(label, 1.0)) for label in labels)
    counts = [max(1, label_counts.get(label, 0)) for label in labels]
    if multi_label:
        return tuple(max(num_rows - count, 1) / count for count in counts)
    return tuple(num_rows / (len(labels) * count) for count in counts)
