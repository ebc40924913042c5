"""The run folder: what lies where, written atomically, read back whole."""

from ftkit.runs.files import (
    append_json_line,
    open_binary_to_replace,
    open_to_replace,
    read_json,
    write_json,
    write_json_lines,
    write_text,
)
from ftkit.runs.folder import (
    RunFolder,
    check_writable,
    claim_run_folder,
    discard_unstarted,
    is_main_process,
    open_run_folder,
    start_run,
)

__all__ = [
    "RunFolder",
    "append_json_line",
    "check_writable",
    "claim_run_folder",
    "discard_unstarted",
    "is_main_process",
    "open_binary_to_replace",
    "open_run_folder",
    "open_to_replace",
    "read_json",
    "start_run",
    "write_json",
    "write_json_lines",
    "write_text",
]
