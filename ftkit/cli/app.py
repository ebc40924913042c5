"""The application: its commands, its errors, its exit codes."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from ftkit.errors import FtkitError, InterruptedRun

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="ftkit",
    help="One recipe becomes a fine-tuned language model that you can trust and use.",
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


def main() -> None:
    """Run the command line; a mistake of the user's ends in one message and exit code 1."""
    import ftkit.cli.commands  # noqa: F401 - registers the commands

    try:
        app()
    except InterruptedRun as event:
        typer.echo(str(event), err=True)
        sys.exit(EXIT_INTERRUPTED)
    except FtkitError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        typer.echo("stopped; nothing was left half-written", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
