"""Bring a checkpoint's files to this disk and check them before a library reads them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import ModelError
from ftkit.models.gguf_conversion import convert_gguf
from ftkit.sources import Location, fetch_hub_files, locate, open_hub_repo
from ftkit.sources.nearest import find_nearest

if TYPE_CHECKING:
    from ftkit.recipe import ModelSection

logger = logging.getLogger(__name__)

_SMALL_FILES = re.compile(r"[^/]+\.(json|txt|model|jinja|tiktoken|spm|bpe|vocab)")
_CODE_FILES = re.compile(r"[^/]+\.py")
_SAFE_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_PICKLED_WEIGHTS = re.compile(r"pytorch_model(-\d{5}-of-\d{5})?\.bin")


def fetch_checkpoint(section: ModelSection) -> Path:
    """Bring the base's configuration, tokenizer and weights to this disk.

    A GGUF file is converted once to a plain folder in the cache.

    Returns:
        A folder that transformers can load.

    Raises:
        SourceError: it is not there or cannot be reached.
        ModelError: it is no checkpoint, or one that the recipe does not allow to load.
    """
    location = locate(str(section.base))
    folder = _fetch_from_hub(location, section) if location.kind == "hub" else _find_folder(location)
    _check_depth(location.spec, folder)
    check_files(location.spec, _list_names(folder), allow_pickle=section.allow_pickle)
    check_config(location.spec, read_config(location.spec, folder), trusts_code=section.trust_remote_code)
    _check_shards(location.spec, folder)
    return folder


def fetch_tokenizer_files(section: ModelSection) -> Path:
    """Bring the tokenizer's files to this disk, without the weights of the model beside them.

    Returns:
        A folder that transformers can load a tokenizer from.

    Raises:
        SourceError: it is not there or cannot be reached.
    """
    location = locate(str(section.tokenizer or section.base))
    if location.kind != "hub":
        return _find_folder(location)
    if location.path_in_repo is not None:
        return _fetch_from_hub(location, section)
    is_base = section.tokenizer in (None, section.base)
    revision = location.options.get("revision") or (section.revision if is_base else None)
    repo = open_hub_repo(str(location.repo_id), revision=revision)
    wanted = choose_files(repo.files, weights=False, allow_pickle=False, code=section.trust_remote_code)
    return fetch_hub_files(repo, wanted)


def choose_files(names: Sequence[str], *, weights: bool, allow_pickle: bool, code: bool) -> list[str]:
    """Choose what to download of a repository: what transformers reads, and nothing twice.

    Args:
        names: all files of the repository.
        weights: whether the weights are wanted.
        allow_pickle: whether weights that exist as pickle only are wanted.
        code: whether Python files are wanted.
    """
    chosen = [name for name in names if _SMALL_FILES.fullmatch(name)]
    if code:
        chosen += [name for name in names if _CODE_FILES.fullmatch(name)]
    if weights:
        safe = [name for name in names if _SAFE_WEIGHTS.fullmatch(name)]
        pickled = [name for name in names if _PICKLED_WEIGHTS.fullmatch(name)]
        chosen += safe or (pickled if allow_pickle else [])
    return chosen


def check_files(where: str, names: Collection[str], *, allow_pickle: bool) -> None:
    """Check that there is a configuration and weights in a format that may be loaded.

    Raises:
        ModelError: says what is there instead and what to do.
    """
    found = ", ".join(sorted(names)[:8]) or "no files"
    if "adapter_config.json" in names:
        raise ModelError(
            f"{where}: this is an adapter, not a model; found adapter_config.json; "
            "merge it into its base first, or name the base"
        )
    if "config.json" not in names:
        if quantised := sorted(name for name in names if name.endswith(".gguf")):
            raise ModelError(
                f"{where}: no config.json, but GGUF files; name one of them: {where}/{quantised[0]}"
            )
        raise ModelError(f"{where}: not a checkpoint: no config.json; found {found}; name the model's folder")
    if any(_SAFE_WEIGHTS.fullmatch(name) for name in names):
        return
    pickled = sorted(name for name in names if _PICKLED_WEIGHTS.fullmatch(name))
    if pickled and not allow_pickle:
        raise ModelError(
            f"{where}: the weights are pickled, and loading a pickle can run any code; found {pickled[0]}; "
            "take a checkpoint with model.safetensors, or, if you trust its author, set "
            "model.allow_pickle: true"
        )
    if not pickled:
        raise ModelError(f"{where}: no weights: no model.safetensors; found {found}; complete the folder")


def read_config(where: str, folder: Path) -> dict[str, Any]:
    """Read `config.json`.

    Raises:
        ModelError: it is not a JSON object.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{where}: config.json cannot be read; {error}; fetch the checkpoint again"
        ) from error
    if not isinstance(config, dict):
        raise ModelError(f"{where}: config.json is not a JSON object; fetch the checkpoint again")
    return config


def check_config(where: str, config: dict[str, Any], *, trusts_code: bool) -> None:
    """Check that transformers knows the architecture, or may run the code that comes with it.

    Raises:
        ModelError: says which names are known, or that the checkpoint wants to run code.
    """
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    model_type = str(config.get("model_type"))
    if model_type in CONFIG_MAPPING_NAMES:
        return
    if not config.get("auto_map"):
        nearest = ", ".join(find_nearest(model_type, CONFIG_MAPPING_NAMES, most=3))
        raise ModelError(
            f"{where}: transformers {transformers.__version__} does not know the model_type '{model_type}' "
            f"of config.json; nearest: {nearest}; a newer transformers may know it"
        )
    if not trusts_code:
        raise ModelError(
            f"{where}: the checkpoint needs Python code of its own to be run; found auto_map in config.json; "
            "read that code and, if you trust it, set model.trust_remote_code: true"
        )


def _fetch_from_hub(location: Location, section: ModelSection) -> Path:
    """Download what is needed of a repository: one GGUF file, or what transformers reads."""
    revision = location.options.get("revision") or section.revision
    repo = open_hub_repo(str(location.repo_id), revision=revision)
    if location.path_in_repo is not None:
        if location.path_in_repo not in repo.files:
            known = [name for name in repo.files if name.endswith(".gguf")]
            nearest = ", ".join(find_nearest(location.path_in_repo, known)) or "none"
            raise ModelError(f"{location.spec}: the repository has no such file; GGUF files: {nearest}")
        return convert_gguf(fetch_hub_files(repo, [location.path_in_repo]) / location.path_in_repo)
    if repo.folder is None:
        # Before any download: the message can name what the repository has.
        check_files(location.spec, repo.files, allow_pickle=section.allow_pickle)
    wanted = choose_files(
        repo.files, weights=True, allow_pickle=section.allow_pickle, code=section.trust_remote_code
    )
    return fetch_hub_files(repo, wanted)


def _find_folder(location: Location) -> Path:
    if location.kind == "remote":
        raise ModelError(
            f"{location.spec}: models are not read from an address; copy the folder to this disk, "
            "for example with fsspec, and name it"
        )
    if location.path is None:
        raise ModelError(f"{location.spec}: matches {len(location.paths)} paths; name one model")
    if location.path.is_dir():
        return location.path
    if location.path.suffix.lower() == ".gguf":
        return convert_gguf(location.path)
    raise ModelError(
        f"{location.spec}: a file; a model is a folder with config.json, or a .gguf file; "
        f"if it is in the folder, name that: {location.path.parent}"
    )


def _check_depth(where: str, folder: Path) -> None:
    """Check that the folder is not one of models."""
    inside = sorted(path.parent.name for path in folder.glob("*/config.json"))
    if inside and not (folder / "config.json").is_file():
        raise ModelError(
            f"{where}: not a checkpoint but a folder that has some: {', '.join(inside[:8])}; name one of them"
        )


def _list_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()]


def _check_shards(where: str, folder: Path) -> None:
    """Check that every file that the index of sharded weights names is there."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file() or (folder / "model.safetensors").is_file():
        return
    try:
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{where}: {index.name} is broken; {error}; fetch the checkpoint again") from error
    if missing := sorted(name for name in named if not (folder / name).is_file()):
        raise ModelError(
            f"{where}: {len(missing)} of {len(named)} weight files are missing; {', '.join(missing[:3])}; "
            "fetch the checkpoint again"
        )
