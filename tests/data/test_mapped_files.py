import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ftkit.data import load_rows
from ftkit.data.mapped_files import MappedFile


def write_arrow(path, numbers):
    table = pa.table({"n": numbers, "text": ["月" * 100] * len(numbers)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_mapped_kb(path):
    """Read how much of a file is in this process's memory."""
    lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
    begin = next(place for place, line in enumerate(lines) if line.endswith(str(path)))
    return next(int(line.split()[1]) for line in lines[begin:] if line.startswith("Rss:"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_pages_are_given_back_and_views_stay_good(tmp_path):
    path = tmp_path / "rows.arrow"
    write_arrow(path, np.arange(20_000))
    mapped = MappedFile(path)
    table = pa.ipc.open_file(mapped.open()).read_all()
    assert table["text"].to_pylist() == ["月" * 100] * 20_000
    assert read_mapped_kb(path) > 4_000
    mapped.release()
    assert read_mapped_kb(path) == 0
    assert table["n"].to_pylist() == list(range(20_000))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_rows_read_one_by_one_do_not_pile_up_in_memory(tmp_path, cache):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"text": "{number} {"月" * 500}"}}\n' for number in range(20_000)))
    rows = load_rows(str(path))
    draw = np.random.default_rng(0)
    for index in draw.integers(len(rows), size=3_000).tolist():
        assert rows[index]["text"].startswith(f"{index} ")
        assert rows.where(index).endswith(f":{index + 1}")
    size = rows.storage.path.stat().st_size / 1024
    assert size > 25_000
    assert read_mapped_kb(rows.storage.path) < size * 0.9


def test_an_empty_file_is_no_map(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="empty file"):
        MappedFile(tmp_path / "empty")
