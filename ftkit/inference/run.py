"""A run as an object: its report, its model, and what the model says."""

from __future__ import annotations

import html
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ftkit.data import Rows, load_rows
from ftkit.errors import RunError
from ftkit.inference.prediction_files import check_output, write_predictions
from ftkit.models import load_saved, move_to_device, read_device
from ftkit.models.generation import GenerationOptions, generate_many, stream_text
from ftkit.recipe import Recipe, load_recipe
from ftkit.runs import RunFolder, open_run_folder, read_json, read_json_lines
from ftkit.tasks import Encoding, Task, get_task
from ftkit.tasks.encoding import check_rows, encode_rows, make_encoding, read_limit

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@contextmanager
def show_progress(total: int) -> Iterator[Callable[[int], Any]]:
    """Show a bar on a terminal, and nothing elsewhere; yields what moves it on."""
    from tqdm.auto import tqdm

    with tqdm(total=total, desc="predicting", unit="row", dynamic_ncols=True, disable=None) as bar:
        yield bar.update


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open the folder of a run.

    Raises:
        RunError: it is not one.
    """
    return Run(open_run_folder(path))


class Run:
    """A run folder, read when asked: `report`, `model`, `tokenizer`, `predict`, `generate`."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return load_recipe(self.folder.recipe, allow=True, rows_needed=False)

    @cached_property
    def task(self) -> Task:
        """The task's module."""
        return get_task(self.recipe.task, self.info.get("problem_type"))

    @cached_property
    def info(self) -> dict[str, Any]:
        """Status, versions, hardware and fingerprints."""
        return dict(read_json(self.folder.info))

    @property
    def report(self) -> dict[str, Any]:
        """The evaluation at the end of the run."""
        return dict(read_json(self.folder.evaluation / "report.json"))

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        self.check_finished()
        model, tokenizer = load_saved(self.folder.model, self.task.MODEL_CLASS)
        move_to_device(model, read_device())
        return model, tokenizer

    @property
    def model(self) -> PreTrainedModel:
        """The tuned model, on the best device there is."""
        return self._loaded[0]

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tuned model's tokenizer."""
        return self._loaded[1]

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of their ids; empty for tasks without labels."""
        return tuple(self.info.get("labels", ()))

    @property
    def encoding(self) -> Encoding:
        """How rows become examples for this model."""
        return make_encoding(self.task, self.recipe.data, self.tokenizer, self.model.config, self.labels)

    def predict(
        self,
        data: str | os.PathLike[str] | Sequence[Any],
        *,
        options: GenerationOptions | None = None,
        output: str | os.PathLike[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Predict for new rows, in their order; a terminal shows a bar.

        Args:
            data: a file or another source as in a recipe, or rows: dicts under the task's column
                names, or bare texts for a task that reads one.
            options: for generative tasks, how text is generated.
            output: a `.jsonl`, `.csv` or `.parquet` file to write the predictions to as well.

        Returns:
            One dict per row. Classification: `prediction` and `probabilities`; generative tasks: `text`.
        """
        path = None if output is None else check_output(output)
        if isinstance(data, (str, os.PathLike)):
            rows = load_rows(os.fspath(data), columns=self.recipe.data.columns, split_name="test")
        else:
            rows = load_rows([self._as_row(item) for item in data], split_name="test")
        if self.task.GENERATES:
            found = self._generate_rows(rows, options or GenerationOptions())
        else:
            found = self._predict_rows(rows)
        if path is not None:
            write_predictions(path, found)
        return found

    def _predict_rows(self, rows: Rows) -> list[dict[str, Any]]:
        from ftkit.evaluation.predictions import predict_split

        encoding = replace(self.encoding, labelled=False)
        split = encode_rows(self.recipe.task, self.task, rows, self.tokenizer, encoding, split="rows")
        threshold = self.info.get("thresholds", {}).get("tuned")
        decided = {} if threshold is None else {"threshold": threshold}
        with show_progress(len(split.examples)) as advance:
            records = predict_split(self.model, self.tokenizer, self.task, split, advance=advance)
        records = [{**record, **decided} for record in records]
        shown = [self.task.present(record, self.labels) for record in records]
        if not hasattr(self.task, "decode"):
            return shown
        return [self.task.decode(record, self.tokenizer) for record in shown]

    def generate(
        self, prompt: str | Sequence[Mapping[str, Any]], *, system: str | None = None, **options: Any
    ) -> str:
        """Answer a prompt, or continue a text.

        Args:
            prompt: a text, or for chat a list of messages.
            system: for chat, the system's turn.
            options: fields of `GenerationOptions`.
        """
        chosen = GenerationOptions(**options)
        ids = self._make_prompt(prompt, system)
        return generate_many(self.model, self.tokenizer, [ids], chosen)[0].text

    def stream(
        self, prompt: str | Sequence[Mapping[str, Any]], *, system: str | None = None, **options: Any
    ) -> Iterator[str]:
        """Answer as `generate` does, piece by piece as it comes."""
        chosen = GenerationOptions(**options)
        ids = self._make_prompt(prompt, system)
        return stream_text(self.model, self.tokenizer, ids, chosen)

    def has_room(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> bool:
        """Tell whether the model can read a conversation and answer it at full length."""
        limit = read_limit(self.tokenizer, self.model.config)
        longest = GenerationOptions(**options).max_new_tokens
        return limit is None or len(self._make_prompt(messages, None)) + longest <= limit

    def _make_prompt(self, prompt: str | Sequence[Mapping[str, Any]], system: str | None) -> list[int]:
        if not self.task.GENERATES:
            raise RunError(
                f"{self.folder.path}: the task {self.recipe.task} does not generate text; use ftkit predict"
            )
        if system and "system" not in (column.name for column in self.task.COLUMNS):
            raise RunError(f"system: the task {self.recipe.task} has no system's turn; leave it out")
        row: dict[str, Any] = {"system": system} if system else {}
        row |= self._as_row(prompt) if isinstance(prompt, str) else {"messages": list(prompt)}
        return list(self.task.make_prompt(row, self.tokenizer, self.encoding))

    def _generate_rows(self, rows: Rows, options: GenerationOptions) -> list[dict[str, Any]]:
        check_rows(rows, self.task, self.encoding)
        prompts = [self.task.make_prompt(row, self.tokenizer, self.encoding) for row in rows]
        with show_progress(len(prompts)) as advance:
            written = generate_many(self.model, self.tokenizer, prompts, options, advance=advance)
        return [{"row": index, "text": one.text} for index, one in enumerate(written)]

    def _as_row(self, item: Any) -> dict[str, Any]:
        if not isinstance(item, str):
            return dict(item)
        names = [column.name for column in self.task.COLUMNS if column.kind == "text"]
        return {names[0]: item}

    def check_finished(self) -> None:
        """Make sure that there is a tuned model.

        Raises:
            RunError: the run was not finished; says how to.
        """
        if not self.folder.model.is_dir():
            status = self.info.get("status", "unknown")
            raise RunError(
                f"{self.folder.path}: has no model yet (status: {status}); "
                f"finish it: ftkit finetune {shlex.quote(str(self.folder.recipe))}"
            )

    def __repr__(self) -> str:
        return (
            f"Run({str(self.folder.path)!r}, task={self.recipe.task!r}, status={self.info.get('status')!r})"
        )

    def _repr_html_(self) -> str:
        """Show verdict, scores and curves in a notebook."""
        from ftkit.reporting.page import render_summary

        if not (self.folder.evaluation / "report.json").is_file():
            return f"<p>{html.escape(str(self.folder.path))}: {html.escape(str(self.info.get('status')))}</p>"
        return render_summary(self.report, read_json_lines(self.folder.metrics))
