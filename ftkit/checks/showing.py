"""A check as text for the terminal and as HTML for a notebook, with what carries loss in colour."""

from __future__ import annotations

import html
import os
import sys
import textwrap
from collections.abc import Iterator

from ftkit.checks.findings import Check, Finding, Piece, ShownExample

WIDTH = 100
LONGEST_PIECE = 160
"""Characters of a piece that are shown; of a longer one, its two ends."""
_INDENT = 13
_COLOUR = {"loss": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}
_PLAIN = "\x1b[0m"
_STYLE = {"warning": "color:#9a6700", "error": "color:#cf222e", "note": ""}


def write_text(check: Check, *, colour: bool | None = None) -> str:
    """Write a check for the terminal.

    Args:
        check: what was found.
        colour: whether to colour; None where standard output is a terminal and `NO_COLOR` is not set.
            Without colour, what carries loss stands in 【brackets】.
    """
    if colour is None:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    lines = [check.name, ""]
    for finding in check.select("note"):
        lines += _write_finding(finding.subject, finding.message)
    if check.shown:
        how = "in green" if colour else "in 【brackets】"
        lines += ["", f"{len(check.shown)} training examples; what carries loss stands {how}:"]
        lines += [line for example in check.shown for line in ("", *_write_example(example, colour))]
    for finding in check.select("warning", "error"):
        lines += ["", *_write_problem(finding, colour)]
    forced = "; started all the same (--force)" if check.forced and check.verdict == "will not do" else ""
    return "\n".join([*lines, "", f"verdict: {check.verdict}{forced}"])


def write_html(check: Check) -> str:
    """Write a check for a notebook."""
    rows = "".join(
        f'<tr><td style="{_STYLE[each.severity]};vertical-align:top"><b>{each.subject}</b></td>'
        f'<td style="{_STYLE[each.severity]};text-align:left">{html.escape(each.message)}</td></tr>'
        for each in check.select("note", "warning", "error")
    )
    examples = "".join(
        f"<p><small>{html.escape(example.source)}</small><br>"
        f"{''.join(_write_piece_html(piece) for piece in example.pieces)}</p>"
        for example in check.shown
    )
    return (
        f"<p><b>{html.escape(check.name)}: {check.verdict}</b></p><table>{rows}</table><div>{examples}</div>"
    )


def shorten(text: str) -> str:
    """Leave out the middle of a long piece."""
    if len(text) <= LONGEST_PIECE:
        return text
    half = LONGEST_PIECE // 2
    return f"{text[:half]} [... {len(text) - 2 * half:,} characters ...] {text[-half:]}"


def _write_finding(title: str, message: str) -> Iterator[str]:
    first, *rest = textwrap.wrap(message, WIDTH - _INDENT, break_on_hyphens=False) or [""]
    yield f"{title:<{_INDENT}}{first}"
    yield from (" " * _INDENT + line for line in rest)


def _write_problem(finding: Finding, colour: bool) -> Iterator[str]:
    head = f"{finding.severity}: {finding.subject}: "
    lines = (head + finding.message).splitlines()
    yield lines[0].replace(head, _COLOUR[finding.severity] + head + _PLAIN, 1) if colour else lines[0]
    yield from lines[1:]


def _write_example(example: ShownExample, colour: bool) -> Iterator[str]:
    yield f"  {example.source}"
    text = "".join(_write_piece(piece, colour) for piece in example.pieces).rstrip("\n")
    yield textwrap.indent(text, "    ")


def _write_piece(piece: Piece, colour: bool) -> str:
    text = _name(piece)
    if not piece.has_loss:
        return text
    return f"{_COLOUR['loss']}{text}{_PLAIN}" if colour else f"【{text}】"


def _write_piece_html(piece: Piece) -> str:
    text = html.escape(_name(piece)).replace("\n", "<br>")
    if not piece.has_loss:
        return f"<span>{text}</span>"
    return f'<span style="background:#dafbe1;color:#116329">{text}</span>'


def _name(piece: Piece) -> str:
    text = shorten(piece.text)
    if not piece.label:
        return text
    return f"{text}/{piece.label} " if text else f"  {piece.label}"
