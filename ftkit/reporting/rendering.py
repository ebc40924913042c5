"""Templates: everything that comes from a run is escaped, everything of ours is in the page itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.reporting.formats import format_count

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


@cache
def _make_environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = format_count
    return environment


def render(template: str, view: Mapping[str, Any]) -> str:
    """Fill a template.

    Args:
        template: file name in `templates/`.
        view: what the template shows; text in it is escaped, `Markup` is not.
    """
    from markupsafe import Markup

    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _make_environment().get_template(template).render(
        view=view, style=Markup(style), script=Markup(script), script_hash=f"sha256-{digest}"
    )  # fmt: skip
