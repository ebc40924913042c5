"""One function a command, and nothing in it but the call and the printing."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ftkit.cli.app import app

tokenizers = typer.Typer(help="Make tokenizers.", no_args_is_help=True)
app.add_typer(tokenizers, name="tokenizer")


def read_lines(stream: TextIO) -> Iterator[str]:
    """Yield what the user types: with a prompt and a history on a terminal, line by line elsewhere."""
    if not stream.isatty():
        yield from stream
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - arrow keys in input()
    while True:
        try:
            yield input("> ")
        except EOFError:
            return


Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings to change, such as training.learning_rate=3e-5.", show_default=False),
]


@app.command()
def finetune(
    recipe: Annotated[str, typer.Argument(help="The recipe, a YAML file.", show_default=False)],
    overrides: Overrides = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Replace an older run in the same output_dir.")
    ] = False,
) -> None:
    """Fine-tune a model as a recipe says, and score it beside its base.

    The same command continues a run that was interrupted.
    """
    from ftkit.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or ())
    from ftkit.pipeline import describe_run
    from ftkit.pipeline import finetune as run_finetune

    run = run_finetune(loaded, fresh=fresh)
    typer.echo(describe_run(run))


@app.command(name="eval")
def evaluate(
    run: Annotated[str | None, typer.Argument(help="The folder of a run.", show_default=False)] = None,
    data: Annotated[str | None, typer.Option(help="Other rows than the run's own test split.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A model instead of a run: folder, hub id, .gguf, pypi:")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task, with --model.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where report.json and predictions.jsonl go.")] = None,
    baseline: Annotated[bool, typer.Option(help="Score the base of the run too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Score a run's model beside its base, or any model, on held-out rows."""
    from ftkit.pipeline import evaluate as run_evaluate

    evaluation = run_evaluate(run, model=model, task=task, data=data, output=output, baseline=baseline)
    typer.echo(json.dumps(evaluation.report, ensure_ascii=False, indent=2) if as_json else str(evaluation))


@app.command()
def predict(
    run: Annotated[str, typer.Argument(help="The folder of a run.", show_default=False)],
    data: Annotated[str, typer.Option(help="Rows to predict, a file or other source.", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="A .jsonl file; standard output without it.")] = None,
    max_new_tokens: Annotated[
        int, typer.Option(help="Longest answer of a generative task, in tokens.")
    ] = 256,
    num_beams: Annotated[
        int, typer.Option(help="Beam search of a generative task with this many beams; 1 is off.")
    ] = 1,
) -> None:
    """Predict for new rows: one JSON line each, in their order."""
    from ftkit.inference import GenerationOptions, open_run
    from ftkit.runs import write_json_lines

    options = GenerationOptions(max_new_tokens=max_new_tokens, num_beams=num_beams)
    predictions = open_run(run).predict(data, options=options)
    if output is not None:
        write_json_lines(output, predictions)
        typer.echo(f"{len(predictions)} predictions in {output}", err=True)
        return
    for prediction in predictions:
        typer.echo(json.dumps(prediction, ensure_ascii=False))


@app.command()
def generate(
    run: Annotated[str, typer.Argument(help="The folder of a run.", show_default=False)],
    prompt: Annotated[
        str, typer.Argument(help="What the model answers or continues; - reads standard input.")
    ],
    system: Annotated[str | None, typer.Option(help="The system's turn, for chat.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 256,
    temperature: Annotated[
        float | None, typer.Option(help="Sample, the flatter the higher; greedy without.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Sample from the likeliest tokens of this share.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Sample from this many likeliest tokens.")] = None,
    num_beams: Annotated[int, typer.Option(help="Beam search with this many beams; 1 is off.")] = 1,
    repetition_penalty: Annotated[float | None, typer.Option(help="Above 1: repeat less.")] = None,
    seed: Annotated[int | None, typer.Option(help="For sampling that can be repeated.")] = None,
    stream: Annotated[bool, typer.Option(help="Show the text as it comes.")] = True,
) -> None:
    """Let a tuned generative model answer a prompt, or continue a text."""
    from ftkit.inference import open_run

    text = sys.stdin.read() if prompt == "-" else prompt
    opened = open_run(run)
    options = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "num_beams": num_beams,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
    }
    if not stream or num_beams > 1:
        typer.echo(opened.generate(text, system=system, **options))
        return
    for piece in opened.stream(text, system=system, **options):
        typer.echo(piece, nl=False)
    typer.echo()


@app.command()
def chat(
    run: Annotated[str, typer.Argument(help="The folder of a run.", show_default=False)],
    system: Annotated[str | None, typer.Option(help="The system's turn.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 256,
    temperature: Annotated[
        float | None, typer.Option(help="Sample, the flatter the higher; greedy without.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Sample from the likeliest tokens of this share.")
    ] = None,
    repetition_penalty: Annotated[float | None, typer.Option(help="Above 1: repeat less.")] = None,
    seed: Annotated[int | None, typer.Option(help="For sampling that can be repeated.")] = None,
) -> None:
    """Talk with a tuned chat model; /reset, /system TEXT and /quit are commands.

    Each line of standard input is a turn, so that a file of questions can be piped in.
    """
    from ftkit.inference import hold_dialogue, open_run, start_dialogue
    from ftkit.inference.dialogue import HELP

    options = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
    }
    dialogue = start_dialogue(open_run(run), system=system, **options)
    typer.echo(HELP, err=True)
    hold_dialogue(
        dialogue,
        read_lines(sys.stdin),
        write=lambda piece: typer.echo(piece, nl=False),
        say=lambda text: typer.echo(text, err=True),
    )


@tokenizers.command("train")
def train_tokenizer(
    recipe: Annotated[str, typer.Argument(help="The recipe whose rows are read.", show_default=False)],
    output: Annotated[Path, typer.Option(help="The folder for the tokenizer.", show_default=False)],
    overrides: Overrides = None,
    algorithm: Annotated[
        str, typer.Option(help="byte-level-bpe, bpe, wordpiece or unigram.")
    ] = "byte-level-bpe",
    vocab_size: Annotated[int, typer.Option(help="Tokens at most, special ones included.")] = 8000,
    special_token: Annotated[
        list[str] | None, typer.Option(help="A further special token; can be given again.")
    ] = None,
    normalizer: Annotated[
        str, typer.Option(help="auto, none, nfc, nfkc, nfkc-lowercase, bert or bert-cased.")
    ] = "auto",
) -> None:
    """Train a tokenizer on a recipe's own rows, for a model from scratch."""
    from ftkit.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or ())
    from ftkit.training.tokenizer import train_tokenizer as run_training

    made = run_training(
        loaded,
        output,
        algorithm=algorithm,
        vocab_size=vocab_size,
        special_tokens=special_token or (),
        normalizer=normalizer,
    )
    typer.echo(f"{len(made)} tokens in {output}; use it: model.tokenizer: {output}")


@app.command()
def init(
    task: Annotated[str, typer.Argument(help="The task of the recipe.", show_default=False)],
    folder: Annotated[Path, typer.Option(help="Where the files go.")] = Path(),
) -> None:
    """Write a commented starter recipe that runs, with a small sample of data."""
    from ftkit.recipe import write_starter

    written = write_starter(task, folder)
    for path in written:
        typer.echo(f"wrote {path}", err=True)
    typer.echo(f"ftkit finetune {written[0]}")


@app.command()
def tasks(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the tasks: what each does, the columns that its rows need, and its metrics."""
    from dataclasses import asdict

    from ftkit.reporting.lists import write_tasks
    from ftkit.tasks.listing import describe_tasks

    infos = describe_tasks()
    listed = json.dumps([asdict(info) for info in infos], ensure_ascii=False, indent=2)
    typer.echo(listed if as_json else write_tasks(infos))


@app.command()
def metrics(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the metrics: what each scores, its direction, range and unit, and what it means."""
    from dataclasses import asdict

    from ftkit.metrics import describe_metrics
    from ftkit.reporting.lists import write_metrics

    infos = describe_metrics()
    listed = json.dumps([asdict(info) for info in infos], ensure_ascii=False, indent=2)
    typer.echo(listed if as_json else write_metrics(infos))


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from ftkit.recipe import make_json_schema

    typer.echo(json.dumps(make_json_schema(), ensure_ascii=False, indent=2))
