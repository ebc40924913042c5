"""Programs that a model writes, and the tests of their rows."""

import pytest
from made_splits import make_split

from ftkit.errors import DataError, MetricError
from ftkit.evaluation import program_runs
from ftkit.evaluation.program_runs import (
    add_program_runs,
    check_programs,
    describe_runs,
    extract_program,
    run_with_tests,
)
from ftkit.metrics import score
from ftkit.models.generation import Written
from ftkit.recipe import CodeSection, EvaluationSection
from ftkit.tasks import chat

ALLOWED = EvaluationSection(code=CodeSection(allow=True))


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("x = 1", "x = 1"),
        ("Here it is:\n```python\nx = 1\n```\nDone.", "x = 1"),
        ("```py\nx = 1\n```\nand\n```\ny = 2\n```", "x = 1\n\ny = 2"),
        ("```python\nx = '月'", "x = '月'"),
    ],
)
def test_a_program_is_taken_out_of_what_was_written(text, program):
    assert extract_program(text) == program


def test_a_program_is_judged_by_the_tests_of_its_row():
    tests = "assert add(2, 3) == 5"
    right, wrong = "def add(a, b):\n    return a + b", "def add(a, b):\n    return a * b"
    assert run_with_tests(f"```python\n{right}\n```", tests, CodeSection()).kind == "passed"
    assert run_with_tests(wrong, tests, CodeSection()).kind == "failed"
    assert run_with_tests("while 1: pass", tests, CodeSection(time_limit_seconds=0.5)).kind == "out of time"


def test_nothing_is_run_unless_the_recipe_says_so():
    with pytest.raises(MetricError, match="'pass@1': it runs the programs .* evaluation.code.allow: true"):
        check_programs(["loss", "pass@1"], CodeSection())
    with pytest.raises(MetricError, match="'pass@5': needs 5 programs .* evaluation.code.samples is 1"):
        check_programs(["pass@5"], CodeSection(allow=True))
    check_programs(["pass@5"], CodeSection(allow=True, samples=5))
    check_programs(["loss"], CodeSection())


def test_a_row_without_tests_is_an_error_with_its_place():
    split = make_split([{"prompt": "a", "answer": "b", "tests": "assert 1"}, {"prompt": "a", "answer": "b"}])
    records = [{"row": row, "text": "x = 1"} for row in range(2)]
    with pytest.raises(DataError, match=r"test\[1\]: column 'tests' has no unit tests; found None"):
        add_program_runs(records, None, chat, split, ALLOWED)


def test_records_say_how_their_programs_ended_and_the_report_how_many():
    rows = [{"prompt": "a", "answer": "b", "tests": f"assert x == {number}"} for number in (1, 2)]
    records = [{"row": row, "text": "x = 1"} for row in range(2)]
    found = add_program_runs(records, None, chat, make_split(rows), ALLOWED)
    assert [record["outcomes"] for record in found] == [["passed"], ["failed"]]
    assert score("pass@1", *chat.list_scored(found, "samples")) == 0.5
    described = describe_runs({"base": found, "tuned": found[:1]}, ALLOWED.code)["code"]
    assert described["outcomes"] == {"base": {"passed": 1, "failed": 1}, "tuned": {"passed": 1}}
    assert described["isolation"]
    assert describe_runs({"base": records}, ALLOWED.code) == {}


def test_several_programs_of_a_row_are_drawn_with_seeds_of_their_own(tiny_llama, monkeypatch):
    from types import SimpleNamespace

    import transformers

    seeds = []

    def write(model, tokenizer, prompts, options):
        seeds.append((options.seed, options.temperature))
        return [Written(f"x = {options.seed}", finished=True)] * len(prompts)

    monkeypatch.setattr(program_runs, "generate_many", write)
    checkpoint = SimpleNamespace(
        model=transformers.AutoModelForCausalLM.from_pretrained(tiny_llama),
        tokenizer=transformers.AutoTokenizer.from_pretrained(tiny_llama),
        precision=SimpleNamespace(compute=None),
    )
    rows = [{"prompt": "give x", "answer": "x = 4", "tests": "assert x in (3, 4)"}]
    evaluation = EvaluationSection(code=CodeSection(allow=True, samples=5, temperature=0.5))
    (record,) = add_program_runs([{"row": 0, "text": ""}], checkpoint, chat, make_split(rows), evaluation)
    assert seeds == [(seed, 0.5) for seed in range(5)]
    assert (record["num_passed"], record["num_samples"]) == (2, 5)
