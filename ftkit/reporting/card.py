"""The model card: what the model is, how it did, on what data, with which limits; for people and the hub."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.reporting.formats import (
    format_change,
    format_count,
    format_interval,
    format_number,
    shorten_path,
)
from ftkit.reporting.rendering import TEMPLATES
from ftkit.reporting.report_view import list_changed_settings, name_base
from ftkit.reporting.summary import summarise_verdict
from ftkit.runs import SavedRun

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

PIPELINES = {
    "text-classification": "text-classification",
    "token-classification": "token-classification",
    "question-answering": "question-answering",
    "masked-lm": "fill-mask",
    "causal-lm": "text-generation",
    "chat": "text-generation",
}
"""Task -> what the hub calls it, where it has a word for it."""

HUB_METRICS = {
    **dict.fromkeys(
        ("macro_f1", "entity_f1", "answer_f1", "multilabel_micro_f1", "multilabel_macro_f1"), "f1"
    ),
    **dict.fromkeys(("rouge1", "rouge2", "rougeL", "rougeLsum"), "rouge"),
    "answer_exact_match": "exact_match",
    "token_accuracy": "accuracy",
    "bleu": "sacrebleu",
}
"""Metric -> the hub's id, where it differs."""

HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]*/[\w.\-]+")


def make_card(run: SavedRun, model_class: str, *, place: str = "model") -> ModelCard:
    """Write the card of a finished run.

    Local paths are cut to file names: a card is made to be passed on.

    Args:
        run: a finished run.
        model_class: name of the Auto class that loads the model.
        place: from where the model is loaded: a folder, or the repository that it goes to.
    """
    from huggingface_hub import ModelCard

    report = run.report
    card: ModelCard = ModelCard.from_template(
        make_card_data(run),
        template_path=str(TEMPLATES / "card.md"),
        name=run.name,
        base=shorten_path(name_base(run.recipe)),
        task=report["task"],
        method=_describe_method(run.recipe),
        training=_describe_training(report),
        verdict=summarise_verdict(report),
        where=f"On {report['split']}: {format_count(report['rows']['number'])} rows; 95 % intervals.",
        scores=_write_scores(report),
        notes=report["notes"],
        data=_write_data(run),
        licence=(run.recipe.get("data") or {}).get("license"),
        settings=_write_settings(run),
        limits=_list_limits(report),
        model_class=model_class,
        place=place,
    )
    return card


def make_card_data(run: SavedRun) -> ModelCardData:
    """Return the metadata that the hub reads and validates."""
    from huggingface_hub import ModelCardData

    report = run.report
    base = name_base(run.recipe)
    data = run.recipe.get("data") or {}
    datasets = [source.partition("?")[0] for source in _list_sources(data.get("train")) if _is_hub_id(source)]
    return ModelCardData(
        library_name="transformers",
        model_name=run.name,
        base_model=base if _is_hub_id(base) else None,
        datasets=datasets or None,
        pipeline_tag=PIPELINES.get(report["task"]),
        tags=["ftkit", report["task"], *(["lora"] if run.recipe.get("adapter") else [])],
        metrics=list(dict.fromkeys(HUB_METRICS.get(name, name) for name in report["metrics"])) or None,
        eval_results=_list_results(run) or None,
    )


def _list_results(run: SavedRun) -> list[EvalResult]:
    """Return each score of the tuned model, its interval among the metric's arguments."""
    from huggingface_hub import EvalResult

    report = run.report
    sources = _list_sources((run.recipe.get("data") or {}).get(report["split"]))
    source = sources[0] if sources else "held-out rows"
    results = []
    for name, score in report["scores"].get("tuned", {}).items():
        found = report.get("intervals", {}).get("tuned", {}).get(name, {})
        ends = {end: found[end] for end in ("low", "high") if found.get(end) is not None}
        results.append(
            EvalResult(
                task_type=PIPELINES.get(report["task"], report["task"]),
                task_name=report["task"],
                dataset_type=source.partition("?")[0] if _is_hub_id(source) else "local",
                dataset_name=f"{shorten_path(source)} ({report['split']}, {report['rows']['number']} rows)",
                dataset_split=report["split"],
                metric_type=HUB_METRICS.get(name, name),
                metric_name=name,
                metric_value=score,
                metric_args={"confidence": 0.95, **ends} if ends else None,
            )
        )
    return results


def _list_sources(value: Any) -> list[str]:
    """Return the sources of a split as texts; a share of the training rows is none."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _is_hub_id(source: str) -> bool:
    return HUB_ID.fullmatch(source.partition("?")[0]) is not None


def _describe_method(recipe: Mapping[str, Any]) -> str:
    adapter = recipe.get("adapter")
    if not adapter:
        return "full fine-tuning"
    rank = adapter.get("rank") if isinstance(adapter, dict) else None
    return f"LoRA{f' of rank {rank}' if rank else ''}, merged into the weights"


def _describe_training(report: Mapping[str, Any]) -> str:
    training = report.get("training") or {}
    known = {"num_steps": "{:,} steps", "num_epochs": "{:.3g} epochs", "num_tokens": "{:,} tokens"}
    parts = [text.format(training[name]) for name, text in known.items() if training.get(name) is not None]
    return ", ".join(parts) or "training not recorded"


def _write_scores(report: Mapping[str, Any]) -> str:
    """Write the table of scores: each with its interval, and what tuning changed."""
    who = list(report["scores"])
    if not who:
        return "None: there were no held-out rows."
    compared = {one["metric"]: one for one in report["comparisons"]}
    lines = []
    for name, info in report["metrics"].items():
        arrow = {True: " (more is better)", False: " (less is better)"}.get(info["greater_is_better"], "")
        cells = [_write_score(report, model, name) for model in who]
        one = compared.get(name, {})
        interval = format_interval(one.get("low"), one.get("high"), signed=True)
        change = format_change(one.get("difference")) + f" ({interval})" * bool(interval)
        lines.append([f"{name}{arrow}", *cells, *([change, one.get("verdict", "")] if compared else [])])
    return _write_table(["metric", *who, *(["change", "verdict"] if compared else [])], lines)


def _write_score(report: Mapping[str, Any], who: str, metric: str) -> str:
    found = report.get("intervals", {}).get(who, {}).get(metric, {})
    interval = format_interval(found.get("low"), found.get("high"))
    return format_number(report["scores"][who].get(metric)) + f" ({interval})" * bool(interval)


def _write_data(run: SavedRun) -> str:
    data = run.recipe.get("data") or {}
    lines = []
    for name, split in run.report.get("data", {}).items():
        sources = (
            ", ".join(shorten_path(source) for source in _list_sources(data.get(name)))
            or "of the training rows"
        )
        changed = format_count(sum(split["rejected"].values()))
        lines.append(
            [name, sources, format_count(split["number"]), changed, f"`{str(split['fingerprint'])[:12]}`"]
        )
    if not lines:
        return "Not recorded."
    return _write_table(["split", "from", "rows", "changed or left out", "fingerprint"], lines)


def _write_settings(run: SavedRun) -> str:
    pairs = list_changed_settings(run, short=True)
    return _write_table(["setting", "value"], [[f"`{name}`", f"`{value}`"] for name, value in pairs])


def _list_limits(report: Mapping[str, Any]) -> list[str]:
    """Say what the scores do not say."""
    rows = format_count(report["rows"]["number"])
    limits = [
        f"Measured on {rows} held-out rows of the kind described above; other texts may do worse.",
        "Not measured: bias, safety, and whatever the metrics above do not score.",
        "The licences of the base model and of the data hold for this model too.",
    ]
    return [*report.get("warnings", []), *limits]


def _write_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; what would break it is escaped."""
    rows = [heads, ["---"] * len(heads), *lines]
    cells = ([" ".join(str(cell).replace("|", "\\|").split()) for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
