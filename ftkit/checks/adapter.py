"""What an adapter was asked to go on, and what it went on: tried on the meta device, without weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ftkit.checks.findings import Finding, join_some
from ftkit.models.skeleton import make_skeleton

if TYPE_CHECKING:
    from ftkit.models import Checkpoint
    from ftkit.recipe import AdapterSection


def try_adapter(base: Checkpoint, section: AdapterSection, *, task_type: str) -> Any:
    """Put the adapter on an empty copy of the model; the model itself stays as it is.

    Raises:
        ModelError: targets that match nothing.
    """
    return make_skeleton(
        base.model.config,
        type(base.model),
        dtype=base.precision.weights,
        adapter=section,
        task_type=task_type,
        new_parameters=base.new_parameters,
        new_token_ids=base.new_token_ids,
    )


def check_adapter(adapted: Any, section: AdapterSection) -> Iterator[Finding]:
    """Compare the modules that were asked for with those that have an adapter now.

    Args:
        adapted: from `try_adapter`.
        section: what was asked for.
    """
    names = list_adapted(adapted)
    trained, total = adapted.get_nb_trainable_parameters()
    whole = sorted(getattr(adapted, "modules_to_save", None) or [])
    beside = f"; trained and saved whole beside it: {', '.join(whole)}" if whole else ""
    message = (
        f"on {len(names)} layers; {trained:,} of {total:,} parameters are trained "
        f"({100 * trained / total:.2g} %){beside}"
    )
    yield Finding("adapter", "note", message)
    if not isinstance(section.targets, str):
        yield from _check_depth(names, list(section.targets))


def list_adapted(adapted: Any) -> list[str]:
    """List the layers that have an adapter."""
    from peft.tuners.lora import LoraLayer

    return [name for name, module in adapted.named_modules() if isinstance(module, LoraLayer)]


def _check_depth(names: list[str], targets: list[str]) -> Iterator[Finding]:
    """Name targets that are in some of the blocks only, where others are in all of them."""
    blocks = {
        target: _list_blocks(names, target) for target in targets if not re.search(r"(^|\.)\d+\.", target)
    }
    deepest = max((len(found) for found in blocks.values()), default=0)
    fewer = [
        f"{target} in {len(found)} of {deepest} blocks"
        for target, found in blocks.items()
        if len(found) < deepest
    ]
    if fewer:
        message = (
            f"some targets are not in every block: {join_some(fewer)}; the rest stays frozen; name all "
            "layers "
            "by their names, or set adapter.targets: all-linear"
        )
        yield Finding("adapter", "warning", message)


def _list_blocks(names: list[str], target: str) -> Counter[str]:
    """List the numbers of the blocks in which a target has an adapter."""
    matching = [name for name in names if f".{name}".endswith(f".{target}")]
    return Counter(found[0] for name in matching if (found := re.search(r"\d+", name)))
