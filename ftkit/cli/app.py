"""The application: its commands, its errors, its exit codes."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ftkit.errors import FtkitError, InterruptedRun
from ftkit.runs.launched import hand_over

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130
EXIT_SIGNALLED = 128
"""Plus the number of the signal, as shells count: 130 Ctrl-C, 143 SIGTERM, 138 SIGUSR1."""


class Commands(TyperGroup):
    """The commands; what the user can mend ends in one message and an exit code, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except InterruptedRun as event:
            if not hand_over(event):
                typer.echo(str(event), err=True)
            raise typer.Exit(EXIT_SIGNALLED + event.signal) from event
        except FtkitError as error:
            if not hand_over(error):
                typer.echo(f"error: {error}", err=True)
            raise typer.Exit(EXIT_ERROR) from error
        except KeyboardInterrupt as event:
            again = "; the same command goes on from the last checkpoint, if there is one"
            typer.echo("stopped" + again * (ctx.invoked_subcommand == "finetune"), err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from event


app = typer.Typer(
    name="ftkit",
    cls=Commands,
    help="One recipe becomes a fine-tuned language model that you can trust and use.",
    epilog="To begin: ftkit init TASK writes a recipe that runs, and says how.",
    rich_markup_mode=None,  # its import takes as long as all the rest of --help
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from ftkit import __version__

        typer.echo(f"ftkit {__version__}")
        raise typer.Exit


@app.callback()
def set_up(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show what the libraries say.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set up what every command shows; results go to standard output, everything else to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("ftkit")
    logger.handlers, logger.propagate = [handler], False
    is_main_process = os.environ.get("RANK", "0") == "0"
    logger.setLevel(logging.INFO if is_main_process else logging.ERROR)
    if not verbose:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("DATASETS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        warnings.simplefilter("ignore")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


COMMAND_MODULES = (
    "commands",
    "tokenizer_commands",
    "checks",
    "plan_commands",
    "reports",
    "data_commands",
    "cache_commands",
    "run_commands",
)
"""Modules of this room that register commands, in the order in which `--help` lists them."""


def load_app() -> typer.Typer:
    """Return the application with all its commands."""
    for name in COMMAND_MODULES:
        importlib.import_module(f"ftkit.cli.{name}")
    return app


def main() -> None:
    """Run the command line."""
    load_app()
    try:
        app(prog_name="ftkit")
    finally:
        flush_output()


def flush_output() -> None:
    """Write out what is still in the buffer; a reader that has seen enough (`| head`) is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
