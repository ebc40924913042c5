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

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
Length = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="Longest answer.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings to change, such as training.learning_rate=3e-5.",
        show_default=False,
    ),
]
Allow = Annotated[bool, typer.Option("--allow", help="Let the recipe's file run the code that it names.")]
EvaluationOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings of evaluation to change, such as evaluation.slices=[genre].",
        show_default=False,
    ),
]


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


@app.command()
def finetune(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", show_default=False)
    ],
    overrides: Overrides = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Replace the run that lies in the output_dir.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Start even where `ftkit check` says that it will not do.")
    ] = False,
    profile: Annotated[
        int | None,
        typer.Option(min=1, metavar="STEPS", help="Write where so many steps went, and a trace of two."),
    ] = None,
    num_devices: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Processes on each host, one a device.")
    ] = None,
    num_hosts: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Hosts on which this command is given.")
    ] = None,
    rendezvous: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where several hosts meet: an address of one.")
    ] = None,
    host_rank: Annotated[
        int | None, typer.Option(min=0, metavar="NUMBER", help="Number of this host; else they settle it.")
    ] = None,
    rendezvous_timeout: Annotated[
        int | None, typer.Option(min=1, metavar="SECONDS", help="How long to wait for all hosts.")
    ] = None,
    max_restarts: Annotated[
        int | None, typer.Option(min=0, metavar="NUMBER", help="Restarts of all when a process is lost.")
    ] = None,
    allow: Allow = False,
) -> None:
    """Fine-tune a model as a recipe says; score it beside its base.

    The same command continues a run that was interrupted.
    """
    from ftkit.recipe import load_recipe

    parallel: dict[str, int | str | None] = {"num_devices": num_devices, "num_hosts": num_hosts}
    parallel |= {"rendezvous": rendezvous, "host_rank": host_rank}
    parallel |= {"rendezvous_timeout": rendezvous_timeout, "max_restarts": max_restarts}
    words = [f"parallel.{name}={value}" for name, value in parallel.items() if value is not None]
    loaded = load_recipe(recipe, [*(overrides or ()), *words], allow=allow)
    from ftkit.pipeline import describe_run
    from ftkit.pipeline import finetune as run_finetune
    from ftkit.pipeline.launching import starts_processes
    from ftkit.runs import is_main_process

    run = run_finetune(loaded, fresh=fresh, force=force, profile=profile)
    if is_main_process() and not starts_processes(loaded.parallel):  # what it started has said it
        typer.echo(describe_run(run))


@app.command(name="eval")
def evaluate(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)
    ] = None,
    overrides: EvaluationOverrides = None,
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
    harness: Annotated[
        str | None,
        typer.Option(metavar="TASK,...", help="Also benchmarks of lm-evaluation-harness, or files of yours."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Score a run's model beside its base, or any model."""
    words = list(overrides or ())
    if run is not None and "=" in run and model is not None:
        words.insert(0, run)  # without a run, the first word is a setting too
        run = None
    if harness is not None:
        words.append(f"evaluation.harness.tasks=[{harness}]")
    check_subject(run, model, task, data)
    from ftkit.recipe import read_evaluation_words

    settings = read_evaluation_words(words)
    from ftkit.pipeline import evaluate as run_evaluate
    from ftkit.runs import check_writable

    if output is not None:
        check_writable(output)
    evaluation = run_evaluate(
        run, model=model, task=task, data=data, output=output, baseline=baseline, evaluation=settings
    )
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
        Path | None,
        typer.Option(metavar="FILE", help="A .jsonl, .csv or .parquet file, instead of standard output."),
    ] = None,
    max_new_tokens: Length = 256,
    num_beams: Annotated[
        int, typer.Option(min=1, metavar="BEAMS", help="Beam search of a generative task; 1 is off.")
    ] = 1,
) -> None:
    """Predict for new rows: one JSON line each, in their order."""
    from ftkit.inference import GenerationOptions, open_run

    options = GenerationOptions(max_new_tokens=max_new_tokens, num_beams=num_beams)
    predictions = open_run(run).predict(data, options=options, output=output)
    if output is not None:
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
    """Talk with a tuned chat model.

    Each line of standard input is a turn, so that a file of questions can be piped in; /reset, /system
    TEXT and /quit are commands.
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


@app.command()
def init(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="text-classification, token-classification, question-answering, multiple-choice, masked-lm, "
            "causal-lm, seq2seq or chat.",
            show_default=False,
        ),
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
def tasks(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the tasks, with their columns and metrics."""
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
    """List the metrics: what each scores, direction, range, unit."""
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
