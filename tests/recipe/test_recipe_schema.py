"""The JSON schema accepts what ftkit accepts, and the table in the README shows all of it."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from ftkit.recipe import make_json_schema, make_recipe, make_settings_table
from ftkit.recipe.settings import SECTIONS, list_settings
from ftkit.recipe.yaml_reader import CoreLoader

REPOSITORY = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft202012Validator(make_json_schema())

GOOD = [
    "{}",
    "model: {base: a/b, dtype: bfloat16}",
    "model: {config: {model_type: llama}, tokenizer: gpt2}",
    "data: [a.jsonl, b.jsonl]",
    "data: {train: [a.jsonl], validation: 10%, test: 500}",
    "data: {train: a.jsonl, validation: null, label_names: {0: ham, 1: spam}}",
    "data: {train: a.jsonl, validation: 0.2, label_names: [1, 2], max_tokens: 128}",
    "data: {train: a.jsonl, split: stratified}",
    "data: {train: a.jsonl, split: {by: group, column: 文}}",
    "data: {train: a.jsonl, leakage: allow}",
    "data: {train: a.jsonl, leakage: {against: [b.jsonl], threshold: 0.9}}",
    "data: {train: [a.jsonl, {source: b.jsonl, weight: 0.5}, {source: c.jsonl, rows: 10}]}",
    "data: {train: [a.jsonl, b.jsonl], mixing: {temperature: 2, stopping_strategy: first_exhausted}}",
    "adapter: lora",
    "adapter: none",
    "adapter: null",
    "adapter: {rank: 8, alpha: 1.5, targets: [q_proj]}",
    "training:",
    "training: {warmup: 5%, epochs: 0.5, optim: sgd, optim_args: {momentum: 0.9}}",
    "training: {warmup: 100, batch_size: 1e3, checkpoint_every: never}",
    "training: {arguments: {torch_compile: true, adam_beta1: 0.8}}",
    "evaluation: {every: 50, metrics: [accuracy], best_metric: loss}",
    "task: my_lab.my_task",
    "output_dir: runs/x",
]
BAD = [
    "colour: red",
    "task: classification",
    "model: {bse: a/b}",
    "model: 3",
    "model: {dtype: bf16}",
    "data: []",
    "data: {validation: 10%}",
    "data: {train: a.jsonl, validation: 0}",
    "data: {train: a.jsonl, max_tokens: 0}",
    "data: {train: a.jsonl, too_long: cut}",
    "data: {train: [{source: a.jsonl, weight: 0}]}",
    "data: {train: [{source: a.jsonl, weight: -1}]}",
    "data: {train: [{source: a.jsonl, rows: 0}]}",
    "data: {train: [{source: a.jsonl, rows: 5, weight: 2}]}",
    "data: {train: [a.jsonl, b.jsonl], mixing: {temperature: 0.5}}",
    "data: {train: a.jsonl, split: groups}",
    "data: {train: a.jsonl, leakage: ignore}",
    "data: {train: a.jsonl, leakage: {threshold: 0}}",
    "data: {train: a.jsonl, leakage: {against: b.jsonl}}",
    "data: {train: a.jsonl, split: {by: label}}",
    "adapter: {method: dora}",
    "adapter: {targets: q_proj}",
    "training: {learning_rate: 3}",
    "training: {learning_rate: '1e-4'}",
    "training: {batch_size: 0}",
    "training: {seed: 4294967296}",
    "training: {warmup: -1}",
    "training: {optim: adam}",
    "training: {gradient_checkpointing: yes}",
    "evaluation: {every: 0}",
]


def fill(text):
    """Read a change as an editor does, and put it into the shortest recipe."""
    change = yaml.load(text, Loader=FromCore) or {}
    return json.loads(json.dumps({"task": "chat", "model": "a/b", "data": "x.jsonl", **change}))


class FromCore(CoreLoader):
    """Builds plain values by YAML 1.2."""


FromCore.add_constructor(
    "tag:yaml.org,2002:float", lambda loader, node: float(loader.construct_scalar(node).lower())
)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(make_json_schema())
    assert make_json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", GOOD)
def test_the_schema_accepts_what_ftkit_accepts(text, tmp_path):
    mapping = fill(text)
    assert list(VALIDATOR.iter_errors(mapping)) == []
    assert make_recipe(mapping, folder=tmp_path)


@pytest.mark.parametrize("text", BAD)
def test_the_schema_refuses_what_ftkit_refuses(text, tmp_path):
    mapping = fill(text)
    assert not VALIDATOR.is_valid(mapping)
    with pytest.raises(ValueError, match=r"\w"):
        make_recipe(mapping, folder=tmp_path)


@pytest.mark.parametrize("key", ["task", "model", "data"])
def test_the_schema_asks_for_what_every_recipe_has(key):
    mapping = fill("")
    del mapping[key]
    assert not VALIDATOR.is_valid(mapping)


def test_a_recipe_that_extends_another_can_lack_anything():
    assert VALIDATOR.is_valid({"extends": "base.yaml", "data": {"validation": 10}})


def test_every_setting_is_described_in_one_line():
    schema = make_json_schema()
    settings = [
        each
        for name in SECTIONS
        for each in schema["$defs"][f"{name.split('.')[-1].title()}Section"]["properties"].values()
    ]
    settings += schema["properties"].values()
    assert all(each["description"] and "\n" not in each["description"] for each in settings)


def test_every_example_of_the_schema_is_accepted():
    schema = make_json_schema()
    for section in schema["$defs"].values():
        for key, each in section.get("properties", {}).items():
            validator = jsonschema.Draft202012Validator({**each, "$defs": schema["$defs"]})
            assert all(validator.is_valid(example) for example in each.get("examples", [])), key


def test_every_default_of_the_schema_is_accepted():
    definitions = make_json_schema()["$defs"]
    for section in definitions.values():
        for key, each in section.get("properties", {}).items():
            if "default" in each:
                whole = {**each, "$defs": definitions}
                assert jsonschema.Draft202012Validator(whole).is_valid(each["default"]), key


def test_names_and_bounds_are_in_the_schema():
    training = make_json_schema()["$defs"]["TrainingSection"]["properties"]
    assert "sgd" in training["optim"]["enum"]
    assert "cosine" in training["lr_scheduler_type"]["enum"]
    assert training["batch_size"]["minimum"] == 1


def test_the_schema_beside_the_recipes_is_up_to_date():
    committed = (REPOSITORY / "recipes" / "schema.json").read_text(encoding="utf-8")
    advice = "run: ftkit schema > recipes/schema.json"
    assert committed == json.dumps(make_json_schema(), ensure_ascii=False, indent=2) + "\n", advice


def test_the_table_has_a_line_for_every_setting():
    names = re.findall(r"^\| `([\w.]+)` \|", make_settings_table(), re.MULTILINE)
    assert [name for name in names if name not in ("extends", "adapter")] == list(list_settings())


def test_every_line_of_the_table_has_four_cells():
    lines = make_settings_table().splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


@pytest.mark.parametrize(
    "line",
    [
        "| `data.train` | text, list of text | required | Rows to learn from",
        "| `training.learning_rate` | number > 0 and < 1 | `5.0e-05` | Peak step size",
        "| `training.micro_batch_size` | whole number ≥ 1, `auto` | `auto` |",
        "| `training.warmup` | whole number ≥ 0, number ≥ 0 and < 1, share (`10%`) | `0` |",
        "| `adapter` | `lora`, `none`, mapping | `null` |",
        "| `model.trust_remote_code` | `true` or `false` | `false` |",
    ],
)
def test_a_line_of_the_table_tells_type_default_and_meaning(line):
    assert line in make_settings_table()


def test_the_table_does_not_list_forty_optimisers():
    assert "... (41 names)" in make_settings_table()
