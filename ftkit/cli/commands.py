"""One function a command, and nothing in it but the call and the printing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.app import app

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
Length = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="Longest answer.")]


@app.command()
def finetune(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", show_default=False)
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Settings to change, such as training.learning_rate=3e-5.",
            show_default=False,
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Replace the run that lies in the output_dir.")
    ] = False,
) -> None:
    """Fine-tune a model as a recipe says; score it beside its base.

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
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Other rows than those that the run held out.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Instead of a run: folder, hub id, .gguf file, pypi:..."),
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="TASK", help="With --model: its task.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For report.json and predictions.jsonl; default: in the run."),
    ] = None,
    baseline: Annotated[bool, typer.Option(help="Score the base of the run too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Score a run's model beside its base, or any model."""
    check_subject(run, model, task, data)
    from ftkit.pipeline import evaluate as run_evaluate
    from ftkit.runs import check_writable

    if output is not None:
        check_writable(output)
    evaluation = run_evaluate(run, model=model, task=task, data=data, output=output, baseline=baseline)
    typer.echo(json.dumps(evaluation.report, ensure_ascii=False, indent=2) if as_json else str(evaluation))


def check_subject(run: str | None, model: str | None, task: str | None, data: str | None) -> None:
    """Check that the words of `ftkit eval` name one thing to score."""
    if run is not None and (model is not None or task is not None):
        extra = "--model" if model is not None else "--task"
        raise typer.BadParameter(f"a run brings its own model and task; take {extra} or {run} out")
    missing = [name for name, value in (("--model", model), ("--task", task), ("--data", data)) if not value]
    if run is None and missing:
        problem = "give the folder of a run, or --model, --task and --data"
        raise typer.BadParameter(f"{problem}; missing: {', '.join(missing)}")


@app.command()
def predict(
    run: RunArgument,
    data: Annotated[
        str,
        typer.Option(metavar="SOURCE", help="The rows: a file or other source.", show_default=False),
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .jsonl file, instead of standard output.")
    ] = None,
    max_new_tokens: Length = 256,
) -> None:
    """Predict for new rows: one JSON line each, in their order."""
    from ftkit.inference import GenerationOptions, open_run
    from ftkit.runs import check_writable, write_json_lines

    if output is not None:
        check_writable(output.parent)
    predictions = open_run(run).predict(data, options=GenerationOptions(max_new_tokens=max_new_tokens))
    if output is not None:
        write_json_lines(output, predictions)
        typer.echo(f"{len(predictions)} predictions in {output}", err=True)
        return
    for prediction in predictions:
        typer.echo(json.dumps(prediction, ensure_ascii=False))


@app.command()
def generate(
    run: RunArgument,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT",
            help="What the model answers or continues; - reads standard input.",
            show_default=False,
        ),
    ],
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="The system's turn, for chat.")] = None,
    max_new_tokens: Length = 256,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Sample: the higher, the freer. Without it: greedy."),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Sample from the likeliest tokens that make up this share."),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Sample from so many likeliest tokens.")
    ] = None,
    num_beams: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="Search with so many beams; not streamed.")
    ] = 1,
    repetition_penalty: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Above 1: repeat less.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="The same seed samples the same text.")
    ] = None,
    stream: Annotated[bool, typer.Option(help="Show the text as it comes.")] = True,
) -> None:
    """Let a tuned model answer a prompt, or continue a text."""
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
    task: Annotated[
        str,
        typer.Argument(metavar="TASK", help="text-classification, causal-lm or chat.", show_default=False),
    ],
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go.")] = Path(),
) -> None:
    """Write a commented recipe that runs, with sample rows."""
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
