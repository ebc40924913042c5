"""`ftkit plan` from a recipe to a recipe: this machine, named ones, and what it refuses."""

import json

import pytest
import yaml

import ftkit
from ftkit.errors import FtkitError, ModelError, RecipeError, RunError
from ftkit.pipeline import planning_runs

ROWS = [
    {"text": f"the cat sat on mat {number} 床前明月光", "label": "ab"[number % 2]} for number in range(24)
]


@pytest.fixture
def sections(tiny_bert, tmp_path):
    return {
        "task": "text-classification",
        "model": str(tiny_bert),
        "data": {"train": ROWS, "test": ROWS[:6], "validation": None, "max_tokens": 32},
        "training": {"epochs": 2, "batch_size": 8},
        "checks": {"unknown_tokens": 1.0},
        "output_dir": str(tmp_path / "run"),
    }


@pytest.fixture
def recipe(sections, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    path = tmp_path / "recipe.yaml"
    data = {**sections["data"], "train": str(rows), "test": None}
    path.write_text(yaml.safe_dump({**sections, "data": data}, allow_unicode=True), encoding="utf-8")
    return path


def test_a_plan_for_this_machine_adds_up(sections):
    found = ftkit.plan(**sections)
    parts = found.current.footprint
    assert found.current.fits
    assert found.current.memory_bytes == found.machine.base_bytes + parts.count_total(
        found.current.tokens_at_once
    )
    assert (found.num_steps, found.batch_size) == (6, 8)
    assert found.current.seconds > 0 < found.scoring_seconds
    assert found.time_basis.startswith("real micro-batches")
    assert found.best.kind.method == "full"
    assert "on this machine, CPU" in str(found)


def test_a_plan_says_the_same_in_text_json_and_html(sections):
    found = ftkit.plan(**sections, device="h100", num_devices=2)
    values = json.loads(json.dumps(found.as_dict()))
    assert values["choices"][0]["settings"] == found.best.settings
    assert values["machine"]["num_devices"] == 2
    assert values["fits"] is True
    text = str(found)
    assert text.splitlines()[0] == "recipe on 2 x NVIDIA H100 SXM 80 GB, 80 GiB each"
    assert "an estimate, nothing is measured" in text
    assert f"training.micro_batch_size={found.best.micro_batch_size}" in text
    assert "H100 SXM" in found._repr_html_()


def test_no_weights_are_loaded_for_another_machine(sections, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("ftkit.models.loading._load_pretrained", refuse)
    assert ftkit.plan(**sections, device="t4").current.fits


def test_devices_share_the_batch(sections):
    one, four = (ftkit.plan(**sections, device="l4", num_devices=number) for number in (1, 4))
    assert max(choice.micro_batch_size for choice in one.choices) == 8
    assert max(choice.micro_batch_size for choice in four.choices) == 2
    assert four.current.seconds <= one.current.seconds
    assert four.current.memory_bytes < one.current.memory_bytes


def test_shards_are_planned_as_the_recipe_allows(sections):
    kinds = {
        strategy: {
            choice.kind.num_shards
            for choice in ftkit.plan(**sections, parallel=parallel, device="l4").choices
        }
        for strategy, parallel in {
            "auto": {"num_devices": 4},
            "ddp": {"num_devices": 4, "strategy": "ddp"},
            "groups": {"num_devices": 4, "strategy": "fsdp", "shard_size": 2},
            "one": {},
        }.items()
    }
    assert kinds == {"auto": {1, 4}, "ddp": {1}, "groups": {2}, "one": {1}}


def test_the_written_recipe_is_the_best_choice_and_runs(recipe, tmp_path):
    output = tmp_path / "planned.yaml"
    found = ftkit.plan(recipe, device="a100", output=output, overrides=["training.batch_size=4"])
    written = ftkit.load_recipe(str(output))
    assert written.training.micro_batch_size == found.best.micro_batch_size == 4
    assert written.training.batch_size == 4
    assert written.data.train == str(tmp_path / "rows.jsonl")
    assert ftkit.check(output, overrides=["training.max_steps=1"]).verdict != "will not do"


def test_a_file_that_is_there_is_never_overwritten(recipe, tmp_path):
    output = tmp_path / "planned.yaml"
    output.write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match=r"planned\.yaml: is there already; choose another name"):
        ftkit.plan(recipe, device="a100", output=output)
    assert output.read_text(encoding="utf-8") == "mine"


def test_a_machine_that_holds_nothing_is_said_and_no_recipe_written(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(planning_runs, "CONTEXT_BYTES", 100 * 2**30)
    output = tmp_path / "planned.yaml"
    with pytest.raises(ModelError, match="nothing fits into NVIDIA T4"):
        ftkit.plan(recipe, device="t4", output=output)
    assert not output.exists()
    assert "does not fit into" in str(ftkit.plan(recipe, device="t4"))


def test_this_machine_is_not_tried_where_nothing_fits(sections, monkeypatch):
    monkeypatch.setattr(planning_runs, "read_free_bytes", lambda _: -(10**12))
    found = ftkit.plan(**sections)
    assert found.best is None
    assert "time of training" in str(found)
    assert found.time_basis == "none: nothing fits, so nothing could be tried"
    assert json.loads(json.dumps(found.as_dict()))["scoring_seconds"] is None


def test_an_adapter_is_planned_as_one_and_full_tuning_beside_it(sections):
    found = ftkit.plan(**sections, adapter={"method": "lora", "rank": 4}, device="h100")
    assert found.current.kind.method == "lora"
    assert found.current.footprint.num_trained < found.current.footprint.num_parameters
    assert {choice.kind.method for choice in found.choices} == {"lora", "full"}
    full = next(choice for choice in found.choices if choice.kind.method == "full")
    assert full.settings["adapter"] == "none"


def test_what_the_device_cannot_do_is_refused(sections):
    training = {**sections["training"], "precision": "bfloat16"}
    with pytest.raises(ModelError, match="NVIDIA T4 has no bfloat16"):
        ftkit.plan(**{**sections, "training": training}, device="t4")


def test_unknown_devices_are_refused_before_anything_is_read():
    with pytest.raises(RecipeError, match="--device: h900"):
        ftkit.plan("nowhere.yaml", device="h900")


def test_mistakes_in_the_recipe_are_errors_of_ftkit(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("task: chat\n", encoding="utf-8")
    with pytest.raises(FtkitError):
        ftkit.plan(path)
