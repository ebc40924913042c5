"""Examples and a tokenizer, as small as can be."""

import datasets
import pytest

from ftkit.data import load_rows
from ftkit.data.changes import ChangeFile
from ftkit.data.examples import Prepared
from ftkit.tasks import Encoding, get_task
from ftkit.tasks.encoding import Split


@pytest.fixture(scope="session")
def chat_tokenizer():
    from tiny_models import make_chat_tokenizer

    return make_chat_tokenizer()


@pytest.fixture
def make_split(tmp_path):
    """Put examples into a split, without rows of their own."""

    def make(examples, *, name="train", **encoding):
        path = tmp_path / "rejected.jsonl"
        path.write_text("")
        rows = load_rows([{"number": number} for number in range(len(examples))])
        prepared = Prepared(datasets.Dataset.from_list(examples), ChangeFile(path, {}), {})
        return Split(name, rows, prepared, Encoding(64, "drop", **encoding))

    return make


@pytest.fixture
def chat():
    return get_task("chat")
