"""Libraries that only some rules need."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ftkit.errors import MissingDependencyError


def import_extra(module: str, rule: str) -> Any:
    """Import a library of the extra `clean`.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"data.clean: {rule}: needs the library {module.partition('.')[0]}, which is not installed; "
            "pip install 'ftkit[clean]'"
        ) from error


def find_version(package: str) -> str:
    """Find the version of an installed package; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
