"""A run goes to the hub: to a fake one on loopback, that is."""

import json
import re

import huggingface_hub.constants
import pytest
import yaml
from fake_hub import TOKEN, open_fake_hub
from sample_runs import CHINESE, make_report, write_run

import ftkit
from ftkit.errors import RunError, SourceError

# The hub library sends large files in a way that its HTTP library calls old.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

WEIGHTS = b"weights " * 1000


@pytest.fixture
def trained(tmp_path):
    """A run with a model folder of its own."""
    run = write_run(tmp_path / "sample")
    (run / "model").mkdir()
    (run / "model" / "config.json").write_text('{"model_type": "bert"}')
    (run / "model" / "model.safetensors").write_bytes(WEIGHTS)
    (run / "evaluation" / "predictions.jsonl").write_text('{"row": 0}\n')
    return run


@pytest.fixture
def hub(monkeypatch):
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with open_fake_hub() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        yield served


def test_model_card_and_page_go_in_one_private_commit(trained, hub):
    upload = ftkit.push_run(trained, "me/spam-filter")
    assert hub.repos["me/spam-filter"]["visibility"] == "private"
    assert (
        set(hub.files)
        == {"config.json", "model.safetensors", "README.md", "report.html"}
        == set(upload.files)
    )
    assert hub.files["model.safetensors"] == WEIGHTS
    assert b"Better than the base" in hub.files["report.html"]
    assert upload.url == f"{hub.url}/me/spam-filter/commit/abc"
    assert 'from_pretrained("me/spam-filter")' in hub.files["README.md"].decode()


def test_no_text_of_a_row_and_no_local_path_goes_unless_asked(trained, hub):
    ftkit.push_run(trained, "spam")
    text = b"".join(hub.files.values()).decode()
    assert CHINESE[:20] not in text
    assert "wordwithout" not in text
    assert "/rows/" not in text
    assert str(trained.parent) not in text
    ftkit.push_run(trained, "spam", with_rows=True)
    assert {"evaluation/report.json", "evaluation/predictions.jsonl", "data/rejected.jsonl"} <= set(hub.files)
    assert CHINESE[:20] in hub.files["report.html"].decode()


def test_a_public_repository_is_made_only_when_told(trained, hub):
    ftkit.push_run(trained, "me/open", private=False)
    assert hub.repos["me/open"]["visibility"] == "public"


def test_a_dry_run_says_what_would_go_and_sends_nothing(trained, hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    shown = str(ftkit.push_run(trained, "me/spam", dry_run=True))
    assert hub.repos == hub.files == {}
    assert shown.startswith("would go to me/spam (private where it is new):\n")
    assert re.search(r"model\.safetensors  7\.81 KiB\n", shown)
    assert shown.splitlines()[-1].startswith("4 files, ")


@pytest.mark.parametrize("name", ["a/b/c", "two words", "-x", "a--b", "", "月"])
def test_a_name_that_is_none_is_refused_before_anything_is_read(name):
    with pytest.raises(SourceError, match="not a repository's name: .*; write name or org/name"):
        ftkit.push_run("no such run", name)


def test_without_a_token_nothing_goes(trained, hub, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="no token for the hub; log in with `hf auth login`"):
        ftkit.push_run(trained, "me/spam")
    assert hub.repos == {}


def test_offline_nothing_goes(trained, hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set"):
        ftkit.push_run(trained, "me/spam")


@pytest.mark.parametrize(
    ("refuse", "message"),
    [
        (("/repos/create", 403), r"not uploaded \(403\): the token may not write there"),
        (("/repos/create", 401), r"not uploaded \(401\): the hub does not know the token"),
        (("/commit/", 404), r"not uploaded \(404\): there is no such user"),
        (("/commit/", 418), r"not uploaded \(418\): "),
        (("/lfs/", 500), "Error while uploading|not uploaded"),
        (("/validate-yaml", 400), "the hub refuses the card's metadata"),
    ],
)
def test_what_the_hub_refuses_is_one_error_without_the_token(trained, hub, refuse, message):
    hub.refuse = refuse
    with pytest.raises(SourceError, match=message) as caught:
        ftkit.push_run(trained, "me/spam")
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__
    assert hub.files == {}


def test_a_hub_out_of_reach_is_one_error(trained, hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SourceError, match="the hub cannot be reached"):
        ftkit.push_run(trained, "me/spam")


def test_a_run_without_its_model_is_refused(sample):
    with pytest.raises(RunError, match="there is no model in it; run the recipe again"):
        ftkit.push_run(sample, "me/spam", dry_run=True)


def test_an_unfinished_run_is_refused(tmp_path):
    run = write_run(tmp_path / "going", status="running")
    with pytest.raises(RunError, match="not finished"):
        ftkit.push_run(run, "me/spam", dry_run=True)


def test_metadata_has_what_the_hub_knows_by_its_own_names(trained, hub):
    recipe = (trained / "recipe.yaml").read_text().replace("/rows/train.jsonl", "'org/mails?split=train'")
    (trained / "recipe.yaml").write_text(recipe)
    ftkit.push_run(trained, "me/spam")
    data = huggingface_hub.ModelCard(hub.files["README.md"].decode()).data
    assert data.base_model == "some/model"
    assert data.datasets == ["org/mails"]
    assert data.pipeline_tag == "text-classification"
    assert data.metrics == ["f1", "loss"]
    result = data.eval_results[0]
    assert (result.metric_type, result.metric_name, result.metric_value) == ("f1", "macro_f1", 0.97)
    assert result.metric_args == {"confidence": 0.95, "low": 0.94, "high": 1.0}
    assert result.dataset_split == "test"


def test_the_card_has_intervals_licence_recipe_and_limits(trained, hub):
    recipe = yaml.safe_load((trained / "recipe.yaml").read_text())
    recipe["data"]["license"] = "CC0-1.0 | mails"
    (trained / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    report = make_report()
    report["intervals"]["tuned"]["macro_f1"] = {"score": 0.97, "low": 0.95, "high": 0.99, "sentence": ""}
    (trained / "evaluation" / "report.json").write_text(json.dumps(report))
    ftkit.push_run(trained, "me/spam")
    card = hub.files["README.md"].decode()
    for text in (
        "| macro_f1 (more is better) | 0.41 (0.38 to 0.44) | 0.51 (0.48 to 0.54) | 0.97 (0.95 to 0.99) |",
        "Licence of the rows: CC0-1.0 | mails.",
        "| `training.learning_rate` | `0.0002` |",
        "- length 12 to 40 tokens got worse",
        "- Measured on 480 held-out rows",
        "| train | train.jsonl | 1,442 | 1,082 | `e7f65da5` |",
    ):
        assert text in card, text
    assert r"`CC0-1.0 \| mails`" in card
