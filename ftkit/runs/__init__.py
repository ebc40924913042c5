"""The run folder: what lies where, written atomically, read back whole."""

from ftkit.runs.checkpoint_folders import list_checkpoints
from ftkit.runs.files import (
    append_json_line,
    check_writable,
    open_binary_to_replace,
    open_to_replace,
    read_json,
    read_json_lines,
    write_json,
    write_json_lines,
    write_text,
)
from ftkit.runs.folder import (
    RunFolder,
    claim_run_folder,
    discard_unstarted,
    flatten_settings,
    is_main_process,
    open_run_folder,
    start_run,
)
from ftkit.runs.launched import STARTED_BY_US, hand_over, is_started_again, said_before
from ftkit.runs.lock import hold_run
from ftkit.runs.saved import SavedRun, find_runs, read_saved_run

__all__ = [
    "STARTED_BY_US",
    "RunFolder",
    "SavedRun",
    "append_json_line",
    "check_writable",
    "claim_run_folder",
    "discard_unstarted",
    "find_runs",
    "flatten_settings",
    "hand_over",
    "hold_run",
    "is_main_process",
    "is_started_again",
    "list_checkpoints",
    "open_binary_to_replace",
    "open_run_folder",
    "open_to_replace",
    "read_json",
    "read_json_lines",
    "read_saved_run",
    "said_before",
    "start_run",
    "write_json",
    "write_json_lines",
    "write_text",
]
