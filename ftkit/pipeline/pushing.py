"""The story of `ftkit push`: a run's model, card and page, to a repository of the hub."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.errors import RunError, SourceError
from ftkit.inference import Run
from ftkit.reporting.card import make_card
from ftkit.reporting.formats import format_bytes
from ftkit.reporting.page import render_page
from ftkit.runs import RunFolder, SavedRun, read_saved_run
from ftkit.tasks import get_task

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelCard

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upload:
    """What goes to the hub, or went there."""

    repo_id: str
    files: dict[str, int]
    """Path in the repository -> size in bytes."""

    private: bool
    url: str | None
    """Where the commit can be seen; None where nothing was sent."""

    def __str__(self) -> str:
        width = max(map(len, self.files))
        lines = [f"  {name.ljust(width)}  {format_bytes(size)}" for name, size in self.files.items()]
        kind = "private" if self.private else "public"
        head = f"would go to {self.repo_id} ({kind} where it is new):" if self.url is None else self.url
        total = format_bytes(sum(self.files.values()))
        return "\n".join([head, *lines, f"{len(self.files)} files, {total}"])


def push_run(
    run: str | os.PathLike[str] | Run,
    repo_id: str,
    *,
    private: bool = True,
    with_rows: bool = False,
    dry_run: bool = False,
    token: str | None = None,
) -> Upload:
    """Upload a run's model with its card and page, in one commit.

    No text of a row and no local path goes along, unless asked for.

    Args:
        run: a finished run or its folder.
        repo_id: `name` or `org/name`; made where it is not there yet.
        private: whether a new repository is private; an older one stays as it is.
        with_rows: upload the page with rows, predictions, report and rejected rows too.
        dry_run: say what would go, and send nothing.
        token: of the hub; by default that of `hf auth login` or HF_TOKEN.

    Raises:
        RunError: the run is unfinished or damaged.
        SourceError: the name is none, there is no token, or the hub refuses or cannot be reached.
    """
    check_repo_id(repo_id)
    saved = read_saved_run(run.folder.path if isinstance(run, Run) else run)
    task = get_task(saved.report["task"], saved.info.get("problem_type"))
    card = make_card(saved, task.MODEL_CLASS, place=repo_id)
    files = choose_files(saved, card, with_rows=with_rows)
    sizes = {
        name: len(file) if isinstance(file, bytes) else file.stat().st_size for name, file in files.items()
    }
    if dry_run:
        return Upload(repo_id, sizes, private, None)
    api = open_hub(token)
    with explaining(repo_id, api.token):
        card.validate()
        made = api.create_repo(repo_id, private=private, exist_ok=True)
        url = send_files(api, made.repo_id, files)
    return Upload(made.repo_id, sizes, private, url)


def check_repo_id(repo_id: str) -> None:
    """Refuse what cannot be the name of a repository.

    Raises:
        SourceError: it is none.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        reason = str(error).rstrip(".")
        raise SourceError(f"{repo_id}: not a repository's name: {reason}; write name or org/name") from error


def choose_files(run: SavedRun, card: ModelCard, *, with_rows: bool) -> dict[str, Path | bytes]:
    """Choose what goes to the hub: path in the repository -> file, or what is to be in it.

    Raises:
        RunError: the run has no model.
    """
    folder: RunFolder = run.folder
    if not (folder.model / "config.json").is_file():
        raise RunError(f"{folder.model}: there is no model in it; run the recipe again: {folder.recipe}")
    model = sorted(path for path in folder.model.rglob("*") if path.is_file())
    files: dict[str, Path | bytes] = {path.relative_to(folder.model).as_posix(): path for path in model}
    files |= {
        "README.md": str(card).encode(),
        "report.html": render_page(run, with_rows=with_rows).encode(),
    }
    if with_rows:
        names = ("evaluation/report.json", "evaluation/predictions.jsonl", "data/rejected.jsonl")
        files |= {name: folder.path / name for name in names if (folder.path / name).is_file()}
    return files


def open_hub(token: str | None) -> HfApi:
    """Return the hub with a token.

    Raises:
        SourceError: there is none, or the hub library is in offline mode.
    """
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise SourceError("push: HF_HUB_OFFLINE is set: nothing goes to the hub; unset it, or add --dry-run")
    found = token or get_token()
    if not found:
        raise SourceError("push: there is no token for the hub; log in with `hf auth login`, or set HF_TOKEN")
    return HfApi(token=found)


def send_files(api: HfApi, repo_id: str, files: dict[str, Path | bytes]) -> str:
    """Send files in one commit; return its address."""
    from huggingface_hub import CommitOperationAdd

    additions = [CommitOperationAdd(name, file) for name, file in files.items()]
    logger.info("sending %d files to %s", len(files), repo_id)
    commit = api.create_commit(repo_id, additions, commit_message="Model, card and report from ftkit")
    return str(commit.commit_url)


@contextmanager
def explaining(repo_id: str, token: str | bool | None) -> Iterator[None]:
    """Translate the hub library's errors; the token is in none of them."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        reason = {
            401: "the hub does not know the token; log in again with `hf auth login`",
            403: "the token may not write there; make one with write access, or choose a repository of yours",
            404: "there is no such user or organisation, or the token may not see it",
        }.get(status, _hide(str(error).splitlines()[0], token))
        raise SourceError(f"{repo_id}: not uploaded ({status}): {reason}") from None
    except ValueError as error:
        reason = _hide(" ".join(str(error).split()), token)
        raise SourceError(f"{repo_id}: the hub refuses the card's metadata: {reason}") from None
    except Exception as error:
        # httpx or httpx2, by the hub library's version; RuntimeError is its own for a lost upload.
        if not isinstance(error, (OSError, RuntimeError)) and not type(error).__module__.startswith("httpx"):
            raise
        reason = _hide(str(error), token)
        lost = f"{repo_id}: not uploaded, the hub cannot be reached: {reason}; try again later"
        raise SourceError(lost) from None


def _hide(text: str, token: str | bool | None) -> str:
    return text.replace(token, "***") if isinstance(token, str) and token else text
