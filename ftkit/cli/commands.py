"""One function a command, and nothing in it but the call and the printing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.app import app

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
) -> None:
    """Predict for new rows: one JSON line each, in their order."""
    from ftkit.inference import GenerationOptions, open_run
    from ftkit.runs import write_json_lines

    predictions = open_run(run).predict(data, options=GenerationOptions(max_new_tokens=max_new_tokens))
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
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from ftkit.recipe import make_json_schema

    typer.echo(json.dumps(make_json_schema(), ensure_ascii=False, indent=2))
