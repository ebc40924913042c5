"""Rules on markup: HTML, Markdown, web addresses."""

from __future__ import annotations

import html
from collections.abc import Callable

import regex

_BLOCKS = (
    "address|article|aside|blockquote|body|br|caption|center|dd|details|dialog|dir|div|dl|dt|fieldset|"
    "figcaption|figure|footer|form|h1|h2|h3|h4|h5|h6|header|hr|html|legend|li|main|menu|nav|ol|optgroup|"
    "option|p|pre|section|summary|table|tbody|tfoot|thead|tr|ul"
)
_INLINE = (
    "a|abbr|acronym|applet|area|audio|b|base|basefont|bdi|bdo|big|blink|button|canvas|cite|code|col|"
    "colgroup|data|datalist|del|dfn|em|embed|font|frame|frameset|head|i|iframe|img|input|ins|kbd|label|"
    "link|map|mark|marquee|meta|meter|nobr|noframes|noscript|object|output|param|picture|progress|q|rp|"
    "rt|ruby|s|samp|script|select|small|source|span|strike|strong|style|sub|sup|svg|td|template|"
    "textarea|th|time|title|track|tt|u|var|video|wbr|xmp"
)
_REST = r"""(?:\s(?:"[^"]*"|'[^']*'|[^'"<>])*+)?+/?>"""
_HIDDEN = regex.compile(
    rf"<!--.*?-->|<!doctype[^<>]*>|<\?xml[^<>]*\?>|<!\[CDATA\[|\]\]>|<(script|style){_REST}.*?</\1\s*>",
    regex.DOTALL | regex.IGNORECASE,
)
_BLOCK_TAG = regex.compile(rf"</?(?:{_BLOCKS}){_REST}", regex.IGNORECASE)
_CELL_TAG = regex.compile(rf"</?t[dh]{_REST}", regex.IGNORECASE)
_INLINE_TAG = regex.compile(rf"</?(?:{_INLINE}){_REST}", regex.IGNORECASE)
_ENTITY = regex.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")

_MARKS = (
    (regex.compile(r"^ {0,3}(?:```|~~~)[^\n`]*\n?", regex.MULTILINE), ""),
    (regex.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$", regex.MULTILINE), r"\1"),
    (regex.compile(r"^ {0,3}>[ \t]?", regex.MULTILINE), ""),
    (
        regex.compile(
            r"^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,}|={3,})$\n?", regex.MULTILINE
        ),
        "",
    ),
    (regex.compile(r"!?\[([^\[\]\n]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:[ \t]+\"[^\"\n]*\")?\)"), r"\1"),
    (regex.compile(r"(\*\*|__)(?=\S)([^\n*_]+?)(?<=\S)\1"), r"\2"),
    (regex.compile(r"(?<![\w*])(\*|_)(?=[^\s*_])([^\n*_]+?)(?<=[^\s*_])\1(?![\w*])"), r"\2"),
    (regex.compile(r"~~(?=\S)([^\n~]+?)(?<=\S)~~"), r"\1"),
    (regex.compile(r"`([^`\n]+)`"), r"\1"),
)

# An address ends at white space, quotes and brackets, and at Chinese characters and punctuation around it.
_URL = regex.compile(
    r"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.)[^\s<>\"'{}|\\^`\p{Han}\p{Hiragana}\p{Katakana}\u3000-\u303f\uff00-\uffef]+",
    regex.IGNORECASE,
)
_AFTER_URL = ".,;:!?)]*_"


def remove_html(text: str) -> str:
    """Take HTML out of a text; only names that are tags of HTML count, so `a < b` and `<stdio.h>` stay.

    Repeated until nothing changes, because what is left of broken or doubly escaped HTML can be HTML.
    """
    while "<" in text or "&" in text:
        before = text
        text = _HIDDEN.sub("", text)
        text = _BLOCK_TAG.sub("\n", text)
        text = _INLINE_TAG.sub("", _CELL_TAG.sub(" ", text))
        text = _ENTITY.sub(_unescape, text)
        if text == before:
            break
    return text


def _unescape(match: regex.Match[str]) -> str:
    """Write an entity as its character; `<` stays an entity, since it would begin a tag that is none."""
    character = html.unescape(match[0])
    return match[0] if character.startswith("<") and _begins_tag(match) else character


def _begins_tag(match: regex.Match[str]) -> bool:
    following = match.string[match.end() : match.end() + 1]
    return following.isalpha() or following in ("/", "!", "?", "&")


def remove_markdown(text: str) -> str:
    """Take marks of Markdown out of a text; lists and tables stay as they are written."""
    before = None
    while text != before:
        before = text
        for pattern, replacement in _MARKS:
            text = pattern.sub(replacement, text)
    return text


def replace_urls(text: str, replacement: str) -> str:
    """Put something in the place of each web address; a full stop behind it is not of it."""

    def replace(match: regex.Match[str]) -> str:
        address = match[0].rstrip(_AFTER_URL)
        following: str = match[0][len(address) :]
        return replacement + following

    replaced: str = _URL.sub(replace, text)
    return replaced


def make_urls(action: str) -> Callable[[str], str]:
    """Make the rule that takes web addresses out, or writes a tag for each."""
    replacement = "<URL>" if action == "tag" else ""

    def edit(text: str) -> str:
        before = None
        while text != before:  # what stood around an address can be one now
            before, text = text, replace_urls(text, replacement)
        return text

    return edit


def count_urls(text: str) -> int:
    """Count web addresses."""
    return sum(1 for _ in _URL.finditer(text))
