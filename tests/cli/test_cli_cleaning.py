import json

import yaml


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_clean_writes_rows_and_what_was_dropped(run, here):
    result = run(
        "data",
        "clean",
        "recipe.yaml",
        "data.clean=[white_space, {min_characters: 20}]",
        "--output",
        "clean.jsonl",
    )
    assert result.code == 0, result.err
    kept, rejected = read(here / "clean.jsonl"), read(here / "clean.rejected.jsonl")
    dropped = [entry for entry in rejected if entry["split"] == "train"]
    assert len(kept) + len(dropped) == 24
    assert dropped
    assert all(len(row["text"].replace(" ", "")) >= 20 for row in kept)
    assert dropped[0]["source"].split(":")[0] == "train.jsonl"
    assert f"train: min_characters: {len(dropped)} dropped" in result.out


def test_clean_overwrites_nothing(run, here):
    (here / "clean.jsonl").write_text("mine")
    run("data", "clean", "recipe.yaml", "--output", "clean.jsonl").check_error(
        "clean.jsonl: is there already; .*"
    )
    run("data", "clean", "recipe.yaml", "--output", "clean.xlsx").check_error(".*name a .jsonl file")
    run("data", "clean", "recipe.yaml", "--output", "c.jsonl", "--split", "dev").check_error(
        ".*no split 'dev'; it has .*"
    )


def test_a_run_keeps_what_cleaning_and_encoding_did_in_one_file_and_in_the_report(run, here):
    rules = "data.clean=[white_space, {min_characters: 20}]"
    assert run("finetune", "recipe.yaml", rules, "data.max_tokens=8").code == 0
    rejected = read(here / "run" / "data" / "rejected.jsonl")
    report = json.loads((here / "run" / "evaluation" / "report.json").read_text())
    rules = {entry["rule"] for entry in rejected}
    assert {"min_characters", "too_long:truncate"} <= rules
    train = report["data"]["train"]
    assert train["read"] == 24
    assert train["number"] == 24 - train["rejected"]["min_characters"]
    assert sum(each["rows"] for each in report["changes"]) == len(rejected)
    resolved = yaml.safe_load((here / "run" / "recipe.yaml").read_text())["data"]["clean"]
    assert [next(iter(rule)) for rule in resolved] == ["white_space", "min_characters"]


def test_mistakes_in_rules_come_with_their_line(run, here):
    text = (
        (here / "recipe.yaml")
        .read_text()
        .replace("max_tokens: 16", "clean: [whitespace, {min_characters: 0}]")
    )
    (here / "recipe.yaml").write_text(text)
    result = run("finetune", "recipe.yaml")
    result.check_error(
        r"recipe.yaml:3: data.clean\[0\]: unknown rule 'whitespace'; did you mean white_space\?\n"
        r"recipe.yaml:3: data.clean\[1\].min_characters: must be at least 1; found 0"
    )
