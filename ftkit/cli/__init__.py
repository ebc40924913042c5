"""The command line: parse, call one function, print. Imports nothing heavy."""

from ftkit.cli.app import main

__all__ = ["main"]
