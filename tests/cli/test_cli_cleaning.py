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


def test_preview_shows_rows_as_they_came_as_cleaned_and_as_encoded(run, here):
    turns = [{"role": "user", "content": "  cat   月光 "}, {"role": "assistant", "content": "dog"}]
    (here / "chat.jsonl").write_text((json.dumps({"messages": turns}) + "\n") * 2, encoding="utf-8")
    result = run("data", "preview", "chat.yaml", "data.clean=[white_space, duplicates]")
    assert result.code == 0, result.err
    first, _, second = result.out.partition("chat.jsonl:2")
    assert first.startswith("chat.jsonl:1 -> train\n  came    messages: ")
    assert "\n  rule    white_space: changed\n  cleaned messages: " in first
    assert '"cat 月光"' in first
    assert "⟦" in first  # what carries loss, where there are no colours
    assert first.index("⟦") > first.index("  encoded ")
    assert second.startswith(" -> left out\n")
    assert "duplicates: dropped (equal)" in second
    assert "encoded" not in second
    assert "\x1b" not in result.out


def test_preview_finds_rows_that_a_rule_touched(run, here):
    result = run(
        "data",
        "preview",
        "recipe.yaml",
        "data.clean=[{min_characters: 20}]",
        "--rule",
        "min_characters",
        "--rows",
        "2",
    )
    assert result.code == 0, result.err
    assert result.out.count("-> left out") == 2
    run("data", "preview", "recipe.yaml", "--rule", "html").check_error(
        "no row was dropped or changed by 'html'; .*"
    )


def test_stats_counts_and_says_the_same_as_json(run, here):
    words = ("data", "stats", "recipe.yaml", "data.clean=[{min_characters: 20}, duplicates]")
    text, found = run(*words), json.loads(run(*words, "--json").out)
    assert text.code == 0, text.err
    kept = found["splits"]["train"]["num_rows"]
    assert f"rows read: 24 for data.train, 9 for data.test; kept: train {kept}, " in text.out
    assert sum(found["splits"]["train"]["labels"].values()) == kept
    assert "train: labels\n" in text.out
    assert "█" in text.out
    assert {each["rule"] for each in found["changes"]} == {"min_characters"}


def test_a_notebook_gets_tables_and_colours(here):
    import ftkit

    found = ftkit.describe_data(here / "recipe.yaml")
    assert "<table>" in found._repr_html_()
    assert found.splits["train"].num_rows == 24
    shown = ftkit.preview_data(here / "chat.yaml", num_rows=1)
    assert "<b style=" in shown._repr_html_()
    assert "\x1b[1;32m" in shown.write(in_colour=True)
