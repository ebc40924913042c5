"""The model card: what the model is, how it did, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.recipe import Recipe


def make_card(recipe: Recipe, report: Mapping[str, Any], model_class: str) -> str:
    """Write the card as Markdown.

    Args:
        recipe: the resolved recipe.
        report: as `ftkit.evaluation` makes it.
        model_class: name of the Auto class that loads the model.
    """
    base = recipe.model.base or f"random weights ({(recipe.model.config or {}).get('model_type')})"
    how = "full fine-tuning" if recipe.adapter is None else f"LoRA, rank {recipe.adapter.rank}, merged"
    training = report["training"]
    data = "\n".join(
        f"- {split}: {rows['number']} rows, {rows['examples']} examples"
        for split, rows in report["data"].items()
    )
    notes = "".join(f"\n{note}\n" for note in report["notes"])
    return f"""# {Path(str(recipe.output_dir)).name}

{base}, tuned for {recipe.task} with [ftkit](https://github.com/ftkit/ftkit): {how},
{training["num_steps"]} steps, {training["num_epochs"]:.3g} epochs.

## Scores

On the {report["split"]} split, {report["rows"]["number"]} rows.

{_make_score_table(report)}
{notes}
## Data

{data}

## Use

```python
from transformers import {model_class}, AutoTokenizer

model = {model_class}.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
```

`recipe.yaml` is the whole of the settings; `ftkit finetune recipe.yaml` gives this run again.
"""


def _make_score_table(report: Mapping[str, Any]) -> str:
    scores = report["scores"]
    if not scores:
        return "None: there were no held-out rows.\n"
    lines = [["metric", *scores], ["---", *("---:" for _ in scores)]]
    for name in report["metrics"]:
        lines.append([name, *(f"{scores[who][name]:.4g}" if name in scores[who] else "" for who in scores)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
