"""The commands on tokenizers: `ftkit tokenizer ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.app import app
from ftkit.cli.commands import Allow, Overrides

tokenizers = typer.Typer(help="Make tokenizers.", no_args_is_help=True)
app.add_typer(tokenizers, name="tokenizer")


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
    allow: Allow = False,
) -> None:
    """Train a tokenizer on a recipe's own rows, for a model from scratch."""
    from ftkit.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or (), allow=allow)
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
