"""Libraries that talk less, while ftkit has the word."""

import logging
import warnings

from transformers.utils import logging as library

from ftkit.models.quiet import log_warnings, quiet_transformers


def test_the_library_is_quiet_inside_and_as_before_outside():
    library.set_verbosity_info()
    library.enable_progress_bar()
    with quiet_transformers():
        assert library.get_verbosity() == logging.ERROR
        assert not library.is_progress_bar_enabled()
    assert library.get_verbosity() == logging.INFO
    assert library.is_progress_bar_enabled()
    library.set_verbosity_warning()


def test_bars_that_were_off_stay_off():
    library.disable_progress_bar()
    with quiet_transformers():
        pass
    assert not library.is_progress_bar_enabled()


def test_warnings_become_single_lines_and_each_comes_once(caplog):
    with caplog.at_level(logging.WARNING), log_warnings(but_not=("known",)):
        for _ in range(3):
            warnings.warn("first line\nsecond line", stacklevel=1)
        warnings.warn("known and handled", stacklevel=1)
    assert [record.getMessage() for record in caplog.records] == ["first line"]
