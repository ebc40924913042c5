"""Open a run: predict, generate."""

from ftkit.inference.generation import GenerationOptions
from ftkit.inference.run import Run, open_run

__all__ = ["GenerationOptions", "Run", "open_run"]
