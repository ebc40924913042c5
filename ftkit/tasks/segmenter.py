"""A user's own word segmenter, for text in scripts without spaces."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ftkit.errors import DataError, RecipeError
from ftkit.sources import hash_file

Segmenter = Callable[[str], list[str]]
"""From a stretch of text to its words, which joined are the text."""


def load_segmenter(name: str) -> Segmenter:
    """Load the function that a recipe names.

    Args:
        name: `module:function`, such as `jieba:lcut`; the module may lie in the current directory.

    Returns:
        The function, with a check of what it gives: `DataError` when the words joined are not the text.

    Raises:
        RecipeError: there is no such function.
    """
    function = _find_function(name)

    def segment(text: str) -> list[str]:
        words = [str(word) for word in function(text)]
        if "".join(words) != text:
            raise DataError(
                f"data.segmenter: {name} lost or changed characters; of {text[:40]!r} it made "
                f"{' '.join(words)[:60]!r}; a segmenter gives back all of the text, cut into words"
            )
        return words

    return segment


@cache
def fingerprint_segmenter(name: str) -> str:
    """Compute what changes with the file that a segmenter's function is written in.

    Read once, as the function is imported once: a file that is edited meanwhile changes neither.
    """
    function = _find_function(name)
    try:
        source = inspect.getsourcefile(inspect.unwrap(function)) or ""
    except TypeError:  # a method of an object, or a function in C
        source = getattr(sys.modules[name.partition(":")[0]], "__file__", None) or ""
    return hash_file(Path(source))[:16] if Path(source).is_file() else ""


@cache
def _find_function(name: str) -> Callable[[str], Any]:
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise RecipeError(f"data.segmenter: is {name!r}; write module:function, such as jieba:lcut")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a lab's own module lies beside its recipe
    try:
        found = getattr(importlib.import_module(module_name), function_name)
    except ImportError as error:
        raise RecipeError(f"data.segmenter: cannot import {module_name!r}; {error}; install it") from error
    except AttributeError as error:
        raise RecipeError(
            f"data.segmenter: the module {module_name} has no {function_name!r}; name a function of it"
        ) from error
    if not callable(found):
        raise RecipeError(f"data.segmenter: {name} is no function; name one that cuts a text into words")
    return found  # type: ignore[no-any-return]
