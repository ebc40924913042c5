"""Whether a report is what `ftkit.evaluation.contents` says that it is, key by key."""

import json
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import is_typeddict

from ftkit.evaluation import contents


def _make_adapter() -> TypeAdapter[Any]:
    for name, kind in vars(contents).items():
        if is_typeddict(kind) and name != "Report":  # a report has the task's own tables as well
            kind.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(contents.Report)


def check_report(report: Any) -> None:
    """Raise where a report lacks something, has something of another type, or something unheard of."""
    json.dumps(report, allow_nan=False)
    _make_adapter().validate_python(report, strict=True)
    task_tables = {
        *("per_class", "per_kind", "per_num_choices", "accuracy_of_guessing", "threshold", "scored"),
        *("no_answer_threshold", "num_words", "num_supervised_tokens", "num_masked_tokens"),
        *("data", "training", "labels", "leakage", "mixing", "changes", "checks"),
    }
    assert report.keys() - contents.Report.__annotations__.keys() <= task_tables
