import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser

import pytest
from sample_runs import (
    CHINESE,
    LONG,
    SCRIPT,
    make_comparison,
    make_error_row,
    make_report,
    write_json,
    write_run,
)

import ftkit
from ftkit.errors import RunError
from ftkit.reporting.error_rows import BUDGET_BYTES, view_errors
from ftkit.reporting.page import render_page, render_summary
from ftkit.runs import read_saved_run

VOID = {"meta", "link", "input", "img", "br", "path", "use", "circle", "hr"}


class Reader(HTMLParser):
    """Collects elements, their text, and what was never closed."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.text, self.attributes = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def make_page(folder, **options):
    return render_page(read_saved_run(folder), **options)


def test_user_text_stays_text(sample):
    page = make_page(sample)
    reader = read(page)
    assert reader.tags.count("script") == 1
    assert "img" not in reader.tags
    assert page.count(html.escape("<script>document.title")) >= 6
    assert SCRIPT in "".join(reader.text)
    assert not any(name.startswith("on") for name, _ in reader.attributes)


def test_the_page_reaches_for_nothing_outside_itself(sample):
    page = make_page(sample)
    links = [value for name, value in read(page).attributes if name in ("src", "href", "xlink:href")]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert "@import" not in page
    assert "http://" not in page.replace("http://www.w3.org/", "")


def test_the_policy_lets_the_one_script_of_the_page_run_and_no_other(sample):
    page = make_page(sample)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert f"script-src 'sha256-{digest}'" in html.unescape(policy)
    assert "default-src 'none'" in html.unescape(policy)


def test_the_page_is_small_and_has_what_every_section_is_about(sample):
    page = make_page(sample)
    assert len(page.encode()) < 400_000
    text = "".join(read(page).text)
    for word in ("Better than the base", "Gradient norm", "too_long:truncate", "69.9%", "carry the loss",
                 "What tuned takes for what", "Rows worth reading", "arc_easy", "learning_rate: 0.0002",
                 "fingerprint of model", "ftkit finetune recipes/quickstart.yaml", "General text".lower(),
                 "length 12 to 40 tokens got worse", "a row that leaked", "mails.jsonl",
                 CHINESE, LONG[:4000]):  # fmt: skip
        assert word in text, word


def test_every_link_of_the_contents_leads_somewhere(sample):
    reader = read(make_page(sample))
    ids = {value for name, value in reader.attributes if name == "id"}
    links = {value[1:] for name, value in reader.attributes if name == "href" and value.startswith("#")}
    assert links <= ids
    assert {"verdict", "scores", "curves", "data", "supervision", "slices", "labels", "errors"} <= links


def test_without_rows_no_text_of_a_row_is_on_the_page(sample):
    report = make_report()
    secret = "the address of my grandmother"
    report["errors"]["worst"][0]["fields"]["text"] = secret
    write_json(sample / "evaluation" / "report.json", report)
    assert secret in make_page(sample)
    page = make_page(sample, with_rows=False)
    assert "grandmother" not in page
    assert CHINESE[:20] not in page
    assert "wordwithout" not in page
    assert "/rows/train.jsonl:2" not in page
    assert "a row that leaked" not in page
    assert "exact repeats" in page
    assert "written without the text of rows" in page


@pytest.mark.parametrize(
    ("base", "tuned", "word"),
    [(0.5, 0.9, "Better"), (0.9, 0.5, "Worse"), (0.5, 0.51, "Cannot tell")],
)
def test_the_verdict_stands_first(tmp_path, base, tuned, word):
    folder = write_run(tmp_path / "run", report=make_report(base, tuned))
    text = "".join(read(make_page(folder)).text)
    assert word in text[text.index("Run it again") :][:400]  # behind the contents


def test_a_run_without_held_out_rows_says_that_there_is_nothing_to_compare(tmp_path):
    report = make_report()
    for part in (
        "slices",
        "errors",
        "confusion",
        "calibration",
        "thresholds",
        "also",
        "harness",
        "per_class",
    ):
        report.pop(part)
    report |= {"scores": {}, "metrics": {}, "comparisons": [], "verdict": None, "rows": {"number": 0}}
    folder = write_run(tmp_path / "run", report={**report, "rows": {"number": 0, "fingerprint": "x"}}, log=[])
    text = "".join(read(make_page(folder)).text)
    assert "No comparison" in text
    assert "There were no held-out rows to score." in text
    assert "nothing was logged" in text


def test_rows_of_several_kinds_are_shown_once_and_long_texts_are_cut_to_a_budget():
    errors = make_report()["errors"]
    errors["worst"] = [make_error_row(number, CHINESE * 40) for number in range(300)]
    errors["broken"] = errors["worst"][:5]
    view = view_errors({"errors": errors}, with_rows=True)
    assert len(view["entries"]) == 300
    assert view["entries"][0]["kinds"] == ["broken", "worst"]
    size = sum(len(text.encode()) for entry in view["entries"] for _, text in entry["fields"])
    assert size < 1.2 * BUDGET_BYTES
    assert "Texts are cut at 500 characters" in view["text"]


def test_answers_that_all_differ_make_no_filter():
    errors = make_report()["errors"]
    errors["worst"] = [make_error_row(number, "x", expected=f"answer {number}") for number in range(100)]
    assert view_errors({"errors": errors}, with_rows=True)["expected"] == []


def test_a_comparison_without_an_interval_is_shown_as_such(tmp_path):
    report = make_report()
    lonely = {**make_comparison("macro_f1", 0.5, 1.0, verdict="cannot tell"), "low": None, "high": None}
    report["comparisons"] = [lonely]
    text = "".join(read(make_page(write_run(tmp_path / "run", report=report))).text)
    assert "cannot tell" in text


def test_a_notebook_shows_verdict_scores_and_curves(sample):
    run = ftkit.open_run(sample)
    shown = run._repr_html_()
    reader = read(shown)
    assert "Better than the base" in shown
    assert reader.tags.count("figure") == 6
    assert "script" not in reader.tags
    assert SCRIPT not in shown


def test_an_evaluation_shows_itself_without_curves():
    shown = ftkit.Evaluation(make_report())._repr_html_()
    assert "Better than the base" in shown
    assert "figure" not in read(shown).tags


def test_an_unfinished_run_shows_its_status_in_a_notebook(tmp_path):
    folder = write_run(tmp_path / "<b>", status="running")
    assert ftkit.open_run(folder)._repr_html_().endswith("&lt;b&gt;: running</p>")


@pytest.mark.parametrize(
    "damage",
    [
        lambda report: report["comparisons"][0].pop("verdict"),
        lambda report: report["scores"].update(base=None),
        lambda report: report["errors"].pop("num_fixed"),
        lambda report: report.update(slices=[{"name": "x"}]),
        lambda report: report["metrics"].update(macro_f1=None),
    ],
)
def test_a_damaged_report_is_named(sample, damage):
    report = make_report()
    damage(report)
    write_json(sample / "evaluation" / "report.json", report)
    with pytest.raises(RunError, match=r"report\.json: cannot be shown: damaged, or of another ftkit"):
        make_page(sample)


def test_a_report_of_the_first_ftkit_is_shown_with_what_it_has(tmp_path):
    report = make_report()
    for part in ("format", "intervals", "verdict", "warnings", "slices", "errors", "confusion", "calibration",
                 "thresholds", "also", "harness", "changes"):  # fmt: skip
        report.pop(part)
    page = make_page(write_run(tmp_path / "run", report=report))
    assert "Better than the base" in page
    assert "The report names no rows." in page


def test_writing_the_page_is_a_function_of_the_notebook_too(sample, tmp_path):
    path = ftkit.write_report(sample, output=tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == make_page(sample)
    assert ftkit.write_report(sample) == sample / "report.html"


def test_a_summary_needs_no_log():
    assert "figure" not in read(render_summary(json.loads(json.dumps(make_report())))).tags
