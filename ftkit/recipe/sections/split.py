"""Settings of `data.split`: which rows are held out where the recipe gives a share or a number."""

from typing import Annotated, Literal

from pydantic import Field

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Text


class SplitSection(Section):
    """Which of the rows `data.validation` and `data.test` take off, where they are a share or a number.

    `split: stratified` is short for `{by: stratified}`.
    """

    by: Literal["random", "stratified", "group", "time"] = "random"
    """Which training rows `data.validation` and `data.test` hold out, where they are a share or a number:
    any (`random`), the same share of every value of `column` (`stratified`), all rows or none of each value
    of `column` (`group`), or the latest by `column` (`time`). Decided by what the rows hold, not by where
    they stand, so that a row keeps its side when others are added."""

    column: Annotated[Text | None, Field(examples=["context", "date"])] = None
    """Column to split by, under the task's name or the file's; needed for `group` and `time`, and for
    `stratified` where it is not `label`."""
