"""What settings must be together: checked on the recipe as written, so that all mistakes come at once."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ftkit.recipe.known_names import FOREIGN_NAMES, OWNED_ARGUMENTS
from ftkit.recipe.mistakes import KeyPath
from ftkit.recipe.paths import is_address
from ftkit.recipe.sections import DataSection, SplitSection, TrainingSection
from ftkit.recipe.sections.cleaning import COMPARING, RULES
from ftkit.recipe.settings import names_setting
from ftkit.recipe.trust import find_secrets
from ftkit.recipe.values import PERCENT, names_source, show

Conflict = tuple[KeyPath, str]


def find_conflicts(values: Mapping[str, Any]) -> list[Conflict]:
    """Find settings that contradict each other, each under the key to change.

    A setting of a wrong type is left to the check of types, and counts as not given here.
    """
    model, data, training, evaluation = (
        _take_mapping(values, name) for name in ("model", "data", "training", "evaluation")
    )
    checks = (
        _check_model(model) if isinstance(values.get("model"), Mapping) else (),
        _check_split(_take_mapping(data, "split")),
        _check_order_of_rules(data),
        _check_mixing(_take_mapping(data, "mixing"), data.get("train")),
        _check_streaming(data, training, values.get("task")),
        _check_batch(training),
        _check_early_stopping(training, data, evaluation),
        _check_best_metric(evaluation),
        _check_arguments(_take_mapping(training, "arguments")),
        _check_parallel(_take_mapping(values, "parallel"), training),
        find_secrets(values),
    )
    return [conflict for check in checks for conflict in check]


def _take_mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key)
    return value if isinstance(value, Mapping) else {}


def _check_model(model: Mapping[str, Any]) -> Iterator[Conflict]:
    base, config = model.get("base"), model.get("config")
    if base is None and config is None:
        yield ("model", "base"), "missing; name a checkpoint, or give model.config for random weights"
    if base is not None and config is not None:
        yield (
            ("model", "config"),
            "makes a model with random weights, and model.base names one; give one of the two",
        )
    if (
        isinstance(base, str)
        and model.get("revision") is not None
        and (os.path.isabs(base) or is_address(base))
    ):
        yield ("model", "revision"), f"only a hub id has revisions; model.base is {show(base)}; remove one"
    if not isinstance(config, Mapping):
        return
    if not config.get("model_type"):
        yield ("model", "config", "model_type"), "missing; name the architecture, such as model_type: llama"
    if model.get("tokenizer") is None:
        yield ("model", "tokenizer"), "missing; a model with random weights brings none, so name one"


def _check_split(split: Mapping[str, Any]) -> Iterator[Conflict]:
    by, column = split.get("by", SplitSection.model_fields["by"].default), split.get("column")
    if by in ("group", "time") and column is None:
        meaning = "whose rows stay together" if by == "group" else "that holds the time"
        yield ("data", "split", "column"), f"missing; name the column {meaning}"
    if by == "random" and column is not None:
        problem = "does nothing with by: random; take it out, or say by: group, stratified or time"
        yield ("data", "split", "column"), problem


def _check_order_of_rules(data: Mapping[str, Any]) -> Iterator[Conflict]:
    """Rules that compare the rows of a split come last: what another rule changes can make rows equal."""
    rules = data.get("clean")
    names = [_name_rule(rule) for rule in rules] if isinstance(rules, list) else []
    for index, name in enumerate(names):
        later = [other for other in names[index + 1 :] if other in RULES and other not in COMPARING]
        if name in COMPARING and later:
            yield (
                ("data", "clean", index),
                f"{name} compares the rows of a split, after all other rules; move it behind {later[-1]}",
            )


def _name_rule(rule: Any) -> str:
    name = next(iter(rule), None) if isinstance(rule, Mapping) else rule
    return name if isinstance(name, str) else ""


def _check_mixing(mixing: Mapping[str, Any], train: Any) -> Iterator[Conflict]:
    entries = train if isinstance(train, list) else [train]
    num_sources = sum(isinstance(each, str) or names_source(each) for each in entries)
    weighted = any(names_source(each) and "weight" in each for each in entries)
    if mixing.get("temperature") is not None:
        if num_sources < 2:
            yield (
                ("data", "mixing", "temperature"),
                "does nothing with one source; list several in data.train",
            )
        if weighted:
            problem = "makes the weights, and data.train gives some; take one of the two out"
            yield ("data", "mixing", "temperature"), problem
    elif mixing.get("stopping_strategy") == "first_exhausted" and not weighted:
        key = ("data", "mixing", "stopping_strategy")
        yield key, "does nothing without weights; give the sources of data.train weights, or a temperature"


def _check_streaming(data: Mapping[str, Any], training: Mapping[str, Any], task: Any) -> Iterator[Conflict]:
    """A stream is read once, from front to back: what needs all rows, or their number, cannot be had."""
    default = DataSection.model_fields["shuffle_buffer"].default  # a resolved recipe has all
    if data.get("streaming") is not True:
        if "streaming" not in data and data.get("shuffle_buffer", default) != default:
            yield ("data", "shuffle_buffer"), "does nothing without data.streaming: true; take it out"
        return
    if training.get("max_steps") is None:
        yield ("training", "max_steps"), "missing; data.streaming needs it, since a stream tells no length"
    if training.get("epochs") is not None:
        yield ("training", "epochs"), "counts rows that data.streaming does not know; take it out"
    if training.get("class_weights") == "balanced":
        problem = "counts the labels of all rows, which data.streaming does not; give a weight for each label"
        yield ("training", "class_weights"), problem
    if "dataloader_num_workers" in _take_mapping(training, "arguments"):
        problem = "a stream is read by the process that trains (data.streaming); take it out"
        yield ("training", "arguments", "dataloader_num_workers"), problem
    yield from _check_streamed_splits(data)
    yield from _check_streamed_rules(data)
    yield from _check_streamed_labels(data, task)


def _check_streamed_splits(data: Mapping[str, Any]) -> Iterator[Conflict]:
    for name in ("validation", "test"):
        value = data.get(name, DataSection.model_fields[name].default)
        if isinstance(value, (int, float)) or (isinstance(value, str) and PERCENT.fullmatch(value)):
            problem = "cannot be split off with data.streaming; name rows of their own, or null for none"
            yield ("data", name), problem
    train = data.get("train")
    if any(map(names_source, train if isinstance(train, list) else [train])):
        yield ("data", "train"), "weights and numbers of rows need all rows; data.streaming reads plain files"
    if _take_mapping(data, "mixing").get("temperature") is not None:
        yield ("data", "mixing", "temperature"), "needs all rows, which data.streaming does not; take it out"


def _check_streamed_rules(data: Mapping[str, Any]) -> Iterator[Conflict]:
    rules = data.get("clean")
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        if (name := _name_rule(rule)) in (*COMPARING, "repeated_lines"):
            problem = f"{name} looks at all rows, which data.streaming does not; take it out"
            yield ("data", "clean", index), problem
    leakage = data.get("leakage")
    section = leakage if isinstance(leakage, Mapping) else {"action": leakage or "drop"}
    held_out = any(data.get(name) is not None for name in ("validation", "test"))
    if (held_out and section.get("action", "drop") != "allow") or section.get("against"):
        problem = (
            "the gate compares all training rows before training, which data.streaming does not; keep them "
            "apart yourself and say leakage: allow"
        )
        yield ("data", "leakage"), problem


def _check_streamed_labels(data: Mapping[str, Any], task: Any) -> Iterator[Conflict]:
    kind = data.get("problem_type", "auto")
    if task == "text-classification" and kind == "auto":
        problem = "auto looks at all rows, which data.streaming does not; name it, such as single_label"
        yield ("data", "problem_type"), problem
    needs_names = task == "token-classification" or (task == "text-classification" and kind != "regression")
    if needs_names and not isinstance(data.get("label_names"), list):
        yield ("data", "label_names"), "missing; data.streaming needs the labels as a list, in their order"


def _check_batch(training: Mapping[str, Any]) -> Iterator[Conflict]:
    micro = training.get("micro_batch_size")
    batch = training.get("batch_size", TrainingSection.model_fields["batch_size"].default)
    if isinstance(micro, int) and isinstance(batch, int) and micro > batch:
        yield ("training", "micro_batch_size"), f"must be at most training.batch_size, {batch}; found {micro}"


def _check_early_stopping(
    training: Mapping[str, Any], data: Mapping[str, Any], evaluation: Mapping[str, Any]
) -> Iterator[Conflict]:
    key = ("training", "early_stopping_patience")
    if training.get("early_stopping_patience") is None:
        if training.get("early_stopping_threshold"):
            yield key, "missing; training.early_stopping_threshold does nothing without it"
        return
    if evaluation.get("every") == "never":
        yield key, "needs evaluations to go by; evaluation.every is never"
    if "validation" in data and data["validation"] is None:
        yield key, "needs rows to evaluate; data.validation is null"


def _check_best_metric(evaluation: Mapping[str, Any]) -> Iterator[Conflict]:
    best, metrics = evaluation.get("best_metric"), evaluation.get("metrics")
    if best is None and evaluation.get("greater_is_better") is not None:
        yield ("evaluation", "best_metric"), "missing; evaluation.greater_is_better does nothing without it"
    if isinstance(best, str) and isinstance(metrics, list) and best not in (*metrics, "loss"):
        known = ", ".join(map(str, metrics)) or "empty"
        yield (
            ("evaluation", "best_metric"),
            f"must be loss or in evaluation.metrics ({known}); found {show(best)}",
        )


def _check_arguments(arguments: Mapping[str, Any]) -> Iterator[Conflict]:
    for name in arguments:
        instead = OWNED_ARGUMENTS.get(name) or FOREIGN_NAMES.get(name)
        if instead is not None:
            advice = f"write {instead} instead" if names_setting(instead) else instead
            yield ("training", "arguments", name), f"ftkit sets this itself; {advice}"


def _check_parallel(parallel: Mapping[str, Any], training: Mapping[str, Any]) -> Iterator[Conflict]:
    num_hosts, rank = parallel.get("num_hosts", 1), parallel.get("host_rank")
    rendezvous, strategy = parallel.get("rendezvous"), parallel.get("strategy", "auto")
    if isinstance(num_hosts, int) and num_hosts > 1 and rendezvous is None:
        yield ("parallel", "rendezvous"), "missing; several hosts need an address where they meet: HOST:PORT"
    if num_hosts == 1:
        for key in ("rendezvous", "host_rank"):
            if parallel.get(key) is not None:
                yield ("parallel", key), "does nothing on one host; set parallel.num_hosts, or take it out"
    elif isinstance(rank, int) and isinstance(num_hosts, int) and rank >= num_hosts:
        yield ("parallel", "host_rank"), f"must be below parallel.num_hosts, {num_hosts}; found {rank}"
    if isinstance(rendezvous, str) and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:]+):\d{1,5}", rendezvous):
        yield (
            ("parallel", "rendezvous"),
            f"must be HOST:PORT, such as 10.0.0.1:29400; found {show(rendezvous)}",
        )
    if rank is not None and parallel.get("max_restarts"):
        problem = (
            "does not go with parallel.max_restarts: hosts with fixed numbers cannot meet again; take it out"
        )
        yield ("parallel", "host_rank"), problem
    if parallel.get("shard_size") is not None and strategy == "ddp":
        yield ("parallel", "shard_size"), "does nothing with strategy: ddp; set parallel.strategy: fsdp"
    if strategy == "fsdp" and training.get("l1_penalty"):
        problem = "does not go with parallel.strategy: fsdp, where no device has all weights; take one out"
        yield ("training", "l1_penalty"), problem
