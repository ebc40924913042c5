"""Open a run: predict, generate, chat."""

from ftkit.inference.dialogue import Dialogue, hold_dialogue, start_dialogue
from ftkit.inference.run import Run, open_run
from ftkit.models.generation import GenerationOptions

__all__ = ["Dialogue", "GenerationOptions", "Run", "hold_dialogue", "open_run", "start_dialogue"]
