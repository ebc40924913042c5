"""A user's own function, named `module:function` in a recipe."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ftkit.errors import RecipeError
from ftkit.sources.cache import hash_file


@cache
def find_function(name: str, *, setting: str) -> Callable[..., Any]:
    """Import a function; its module may lie in the current directory.

    Args:
        name: `module:function`.
        setting: the setting that names it, for messages.

    Raises:
        RecipeError: there is no such function.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise RecipeError(f"{setting}: is {name!r}; write module:function, such as jieba:lcut")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a lab's own module lies beside its recipe
    try:
        found = getattr(importlib.import_module(module_name), function_name)
    except ImportError as error:
        raise RecipeError(f"{setting}: cannot import {module_name!r}; {error}; install it") from error
    except AttributeError as error:
        raise RecipeError(
            f"{setting}: the module {module_name} has no {function_name!r}; name a function of it"
        ) from error
    if not callable(found):
        raise RecipeError(f"{setting}: {name} is no function; name one")
    return found  # type: ignore[no-any-return]


@cache
def fingerprint_function(name: str, *, setting: str) -> str:
    """Compute what changes with the file that a function is written in.

    Read once, as the function is imported once: a file that is edited meanwhile changes neither.
    """
    function = find_function(name, setting=setting)
    try:
        source = inspect.getsourcefile(inspect.unwrap(function)) or ""
    except TypeError:  # a method of an object, or a function in C
        source = getattr(sys.modules[name.partition(":")[0]], "__file__", None) or ""
    return hash_file(Path(source))[:16] if Path(source).is_file() else ""
