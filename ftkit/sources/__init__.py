"""Where a checkpoint or a data set can come from: a path, a package, the hub, an address."""

from ftkit.sources.cache import cache_folder, hash_file, hold_lock, write_aside
from ftkit.sources.file_hashes import hash_file_once
from ftkit.sources.hub import HubRepo, fetch_hub_files, list_cached_repos, open_hub_repo
from ftkit.sources.location import Location, locate
from ftkit.sources.package import fetch_package_path

__all__ = [
    "HubRepo",
    "Location",
    "cache_folder",
    "fetch_hub_files",
    "fetch_package_path",
    "hash_file",
    "hash_file_once",
    "hold_lock",
    "list_cached_repos",
    "locate",
    "open_hub_repo",
    "write_aside",
]
