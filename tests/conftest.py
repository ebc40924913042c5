"""What all tests share: no network, a cache of their own, and tiny models."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Read by huggingface_hub, transformers and datasets when they are imported.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tiny_models import (  # noqa: E402 - after the environment
    save_tiny_bart,
    save_tiny_bert,
    save_tiny_gpt2,
    save_tiny_llama,
    save_tiny_t5,
)

from ftkit.data import preparation
from ftkit.data.leakage import find_leakage
from ftkit.recipe.sections import LeakageSection

# What an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("ftkit", deadline=None)
hypothesis.settings.load_profile("ftkit")


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a cache folder that the tests of one session share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session", autouse=True)
def _leakage_by_heart() -> Iterator[None]:
    """Let runs learn rows by heart and be scored on them, as most of these tests do.

    Only where a recipe says nothing of leakage; a test of what happens by default uses `gate`.
    """

    def find_where_said(splits: Any, section: Any, columns: Any) -> Any:
        return find_leakage(splits, section, columns) if section.leakage != LeakageSection() else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparation, "find_leakage", find_where_said)
        yield


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep training rows apart from held-out rows by default, as users have it."""
    monkeypatch.setattr(preparation, "find_leakage", find_leakage)


@pytest.fixture(autouse=True)
def _own_cache(request: pytest.FixtureRequest, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests out of the user's cache, except slow ones, which would download it all again."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setenv("FTKIT_CACHE", str(shared_cache))


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty cache of this test alone."""
    folder = tmp_path_factory.mktemp("own-cache")
    monkeypatch.setenv("FTKIT_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a masked language model and its WordPiece tokenizer."""
    return save_tiny_bert(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a chat model, its byte-level tokenizer and the ChatML template."""
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text model whose tokenizer has no padding token."""
    return save_tiny_gpt2(tmp_path_factory.mktemp("models") / "tiny-gpt2")


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder-decoder whose tokenizer has sentinels."""
    return save_tiny_t5(tmp_path_factory.mktemp("models") / "tiny-t5")


@pytest.fixture(scope="session")
def tiny_bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder-decoder that has learned positions and its own way to begin."""
    return save_tiny_bart(tmp_path_factory.mktemp("models") / "tiny-bart")
