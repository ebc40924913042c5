"""Run folders to be shown."""

import pytest
from sample_runs import write_run


@pytest.fixture
def sample(tmp_path):
    """A finished run with the texts that break pages."""
    return write_run(tmp_path / "sample")
