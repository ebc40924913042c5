"""A tiny chat model and examples to train it on."""

import datasets
import pytest
import torch

from ftkit.data import Prepared, load_rows
from ftkit.models import Precision, load_checkpoint
from ftkit.recipe import EvaluationSection, ModelSection, TrainingSection
from ftkit.runs import RunFolder
from ftkit.tasks import Encoding, get_task
from ftkit.tasks.encoding import Split
from ftkit.training.loop import train

PRECISION = Precision("float32", None, "tests compare bits")


def make_examples(number=24):
    generator = torch.Generator().manual_seed(3)
    examples = []
    for row in range(number):
        length = int(torch.randint(4, 40, (), generator=generator))
        ids = torch.randint(5, 250, (length,), generator=generator).tolist()
        hidden = int(torch.randint(1, length - 1, (), generator=generator))
        examples.append({"row": row, "input_ids": ids, "labels": [-100] * hidden + ids[hidden:]})
    return datasets.Dataset.from_list(examples)


class Workshop:
    """Trains the tiny model with a few settings and returns what came out."""

    def __init__(self, model, folder):
        self.model, self.folder, self.task = model, folder, get_task("chat")
        self.examples = make_examples()

    def load(self):
        torch.manual_seed(0)
        section = ModelSection(base=str(self.model))
        return load_checkpoint(
            section, auto_class="AutoModelForCausalLM", labels=(), precision=PRECISION, task="chat"
        )

    def train(
        self,
        name="run",
        *,
        checkpoint=None,
        parallel=None,
        validate=None,
        best=("loss", False),
        evaluation=None,
        **settings,
    ):
        checkpoint = checkpoint or self.load()
        folder = RunFolder(self.folder / name)
        folder.path.mkdir(exist_ok=True)
        values = {
            "max_steps": 4,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "checkpoint_every": "never",
            **settings,
        }
        result = train(
            checkpoint,
            self.task,
            Split(
                "train",
                load_rows([{"number": number} for number in range(len(self.examples))]),
                Prepared(self.examples, [], {}),
                Encoding(512, "drop"),
            ),
            training=TrainingSection(**values),
            evaluation=EvaluationSection(**(evaluation or {})),
            parallel=parallel,
            folder=folder,
            validate=validate,
            best_metric=best,
        )
        return checkpoint.model, folder, result


@pytest.fixture
def workshop(tiny_llama, tmp_path):
    return Workshop(tiny_llama, tmp_path)
