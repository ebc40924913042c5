"""What all tests share: no network, a cache of their own, and tiny models."""

import os
from pathlib import Path

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

# What an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("ftkit", deadline=None)
hypothesis.settings.load_profile("ftkit")


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a cache folder that the tests of one session share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(request: pytest.FixtureRequest, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests out of the user's cache, except slow ones, which would download it all again."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setenv("FTKIT_CACHE", str(shared_cache))


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
