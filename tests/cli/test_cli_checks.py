"""`ftkit check`: its verdict, its exit code, and what `finetune` does with it."""

import json

from tiny_models import CHATML

ENDLESS = CHATML.replace("<|im_end|>", "").replace("<|im_start|>", "")


def test_a_good_recipe_is_ready_and_nothing_is_written(run, here):
    before = sorted(here.rglob("*"))
    result = run("check", "recipe.yaml")
    assert result.code == 0
    assert result.out.startswith("recipe.yaml\n\ndata ")
    assert result.out.endswith("\nverdict: ready\n")
    assert "【  ham】" in result.out
    assert sorted(here.rglob("*")) == before


def test_warnings_have_an_exit_code_of_their_own(run):
    result = run("check", "recipe.yaml", "training.warmup=50")
    assert result.code == 3
    assert result.out.endswith("such as 5%\n\nverdict: ready with warnings\n")


def test_a_mistake_in_the_recipe_is_a_verdict_and_no_traceback(run):
    result = run("check", "recipe.yaml", "training.learning_rat=1")
    assert result.code == 1
    assert "did you mean learning_rate?" in result.out
    assert result.out.endswith("verdict: will not do\n")
    assert run("check", "nothing.yaml").code == 1


def test_json_holds_the_same(run):
    found = json.loads(run("check", "recipe.yaml", "--json").out)
    assert found["verdict"] == "ready"
    assert found["supervision"][0]["num_looked_at"] == 24
    assert len(found["shown"]) == 3


def test_a_folder_with_a_finished_run_is_named(run, finished, here):
    import shutil

    shutil.copytree(finished / "run", here / "run")
    recipe = here / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(finished), str(here)))
    result = run("check", "recipe.yaml")
    assert result.code == 3
    assert "holds the finished run of this recipe" in result.out


def test_a_run_that_would_be_useless_starts_only_with_force_and_its_report_says_so(run, here):
    words = ("chat.yaml", f"model.chat_template={json.dumps(ENDLESS)}")
    result = run("finetune", *words)
    result.check_error(r"recipe: will not do\n.*would not learn to stop.*\n.*--force .*starts all the same")
    assert not (here / "chat_run").exists()
    assert run("check", *words).code == 1
    assert run("finetune", *words, "--force").code == 0
    for file in ("run.json", "evaluation/report.json"):
        checks = json.loads((here / "chat_run" / file).read_text())["checks"]
        assert (checks["verdict"], checks["forced"]) == ("will not do", True)


def test_the_doctor_says_whether_this_machine_can_train(run, monkeypatch):
    monkeypatch.setattr("ftkit.checks.machine.ask_index", lambda: None)
    result = run("doctor")
    assert result.out.startswith("this machine\n\nlibraries ")
    assert "\ntraining     2 steps of a tiny model on " in result.out
    assert result.code == (0 if result.out.endswith("verdict: ready\n") else 3)
