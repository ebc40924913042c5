"""Each trap is stopped or named before the first step; each good twin passes without a warning."""

import copy
import json
import re

import pytest
import yaml
from trap_catalogue import GOOD, TRAPS, TWINS

import ftkit
from ftkit.errors import FtkitError

pytestmark = pytest.mark.usefixtures("gate")  # as users have it


def set_value(recipe, setting, value):
    *path, last = setting.split(".")
    for key in path:
        recipe = recipe.setdefault(key, {})
    recipe[last] = value


def write_trap(folder, models, task, changes, rows):
    recipe, good_rows = copy.deepcopy(GOOD[task][0]), {**GOOD[task][1], **rows}
    for setting, value in changes.items():
        set_value(recipe, setting, value)
    for split, some in good_rows.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in some)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    for key in ("base", "tokenizer"):
        if key in recipe["model"]:
            recipe["model"][key] = str(models[recipe["model"][key].strip("{}")])
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    return folder / "recipe.yaml"


@pytest.mark.parametrize("trap", TRAPS, ids=[trap.name.replace(" ", "-") for trap in TRAPS])
def test_a_trap_is_stopped_or_named_before_the_first_step(trap, models, tmp_path):
    path = write_trap(tmp_path, models, trap.task, trap.changes, trap.rows)
    found = ftkit.check(path, allow=True)
    severity = "error" if trap.stops else "warning"
    told = [f"{each.subject}: {each.message}" for each in found.select(severity)]
    pattern = re.compile(f"{trap.subject}: .*{trap.message}", re.DOTALL)
    assert told, str(found)
    # Of every split that has it; nothing else is blamed.
    assert [each for each in told if not pattern.search(each)] == []
    assert found.verdict == ("will not do" if trap.stops else "ready with warnings")
    assert not (tmp_path / "run").exists()
    if trap.stops:
        with pytest.raises(FtkitError, match=re.compile(trap.message, re.DOTALL)):
            ftkit.finetune(path, allow=True)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("task", GOOD)
def test_a_good_recipe_passes_without_a_warning(task, models, tmp_path):
    found = ftkit.check(write_trap(tmp_path, models, task, {}, {}))
    assert found.select("warning", "error") == []
    assert found.verdict == "ready"
    assert len(found.shown) == 3


@pytest.mark.parametrize("twin", TWINS, ids=[twin.name.replace(" ", "-") for twin in TWINS])
def test_what_only_looks_like_a_trap_passes_without_a_warning(twin, models, tmp_path):
    found = ftkit.check(write_trap(tmp_path, models, twin.task, twin.changes, twin.rows))
    assert found.select("warning", "error") == []
    assert re.search(twin.message, "\n".join(each.message for each in found.findings)), str(found)


def test_the_catalogue_is_as_long_as_promised():
    assert len(TRAPS) >= 24
    assert len({trap.name for trap in TRAPS}) == len(TRAPS)
    assert {trap.task for trap in TRAPS} | {twin.task for twin in TWINS} == set(GOOD)
