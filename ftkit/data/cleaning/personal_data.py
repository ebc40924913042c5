"""Find personal data in texts: what can be told by its form, and by its checksum where it has one.

Numbers are looked for loosely and then checked: identity numbers and cards by python-stdnum, telephone
numbers by phonenumbers, addresses of machines by the standard library. So a date or an order number is
seldom taken for one.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.data.cleaning.extras import import_extra

RULE = "personal_data"


@dataclass(frozen=True)
class Finding:
    """A piece of personal data in a text."""

    start: int
    end: int
    kind: str
    """email, ip, phone, identity, card or iban."""


Finder = Callable[[str], Iterator[tuple[int, int]]]

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
_IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)", re.ASCII)
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![\w:])", re.ASCII)
_CARD = re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-]|\.\d)", re.ASCII)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_CARD_NUMBERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7]|35)\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|6\d{15,18}"
)
"""Visa; Mastercard and JCB; American Express; Diners; UnionPay, Discover and Maestro."""
_PHONE_LIKE = re.compile(r"\d(?:[ ()./\-\u00a0\u2011\u3000]{0,3}\d){5,}")
_HOME_FORMS = {
    "cn": re.compile(r"1[3-9]\d[ -]?\d{4}[ -]?\d{4}|\(?0\d{2,3}\)?[ -]{0,3}\d{3,4}[ -]?\d{4}|\+?86.*"),
    "us": re.compile(
        r"(?:\+?1[ .-]{1,3})?(?:\(\d{3}\)[ .-]{0,3}|\d{3}[ .-]{1,3})\d{3}[ .-]{1,3}\d{4}.*|\+1.*"
    ),
}
"""How numbers are written at home; phonenumbers takes digits with any signs between them, versions too."""

_IDENTITY: dict[str, tuple[tuple[str, str], ...]] = {
    "cn": ((r"\d{17}[\dXx]", "cn.ric"),),
    "us": ((r"\d{3}-\d{2}-\d{4}", "us.ssn"),),
    "eu": (
        (r"\d{8}-?[A-Z]", "es.dni"),
        (r"[XYZ]-?\d{7}-?[A-Z]", "es.nie"),
        (r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]", "it.codicefiscale"),
        (r"[12] ?\d{2} ?\d{2} ?\d[0-9AB] ?\d{3} ?\d{3} ?\d{2}", "fr.nir"),
        (r"\d{2} ?\d{3} ?\d{3} ?\d{3}", "de.idnr"),
        (r"\d{11}", "pl.pesel"),
        (r"\d{6}[-+A]\d{3}[0-9A-Y]", "fi.hetu"),
        (r"(?:\d{2})?\d{6}[-+]\d{4}", "se.personnummer"),
        (r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", "be.nn"),
        (r"\d{13}", "ro.cnp"),
        (r"\d{7}[A-W][A-IW]?", "ie.pps"),
    ),
}
"""Region -> forms of identity numbers, and the module of python-stdnum that checks each."""

_EU_CODES = frozenset(
    (30, 31, 32, 33, 34, 36, 39, 40, 43, 45, 46, 48, 49, 351, 352, 353, 354, 356, 357, 358, 359)
    + (370, 371, 372, 385, 386, 420, 421, 41, 44, 47)
)
"""Calling codes of the European Union, and of Iceland, Switzerland, the United Kingdom and Norway."""


def make_finder(kinds: Sequence[str], regions: Sequence[str]) -> Callable[[str], list[Finding]]:
    """Make the function that finds some kinds of personal data.

    Args:
        kinds: of email, ip, phone, identity, card, iban.
        regions: of cn, eu, us.

    Returns:
        From a text to its findings, which do not overlap, in their order.

    Raises:
        MissingDependencyError: a library of the extra `clean` is not installed.
    """
    makers: dict[str, Callable[[], list[Finder]]] = {
        "email": lambda: [_find_emails],
        "iban": lambda: [_make_checked_finder(_IBAN, import_extra("stdnum.iban", RULE).is_valid)],
        "identity": lambda: _make_identity_finders(regions),
        "card": lambda: [_make_checked_finder(_CARD, _make_card_check())],
        "ip": lambda: [_find_addresses],
        "phone": lambda: [_make_phone_finder(region) for region in regions],
    }
    finders = [(kind, finder) for kind, make in makers.items() if kind in kinds for finder in make()]

    def find(text: str) -> list[Finding]:
        found: list[Finding] = []
        for kind, finder in finders:
            found += [Finding(start, end, kind) for start, end in finder(text)]
        return _drop_overlaps(found)

    return find


def make_hider(find: Callable[[str], list[Finding]], action: str) -> Callable[[str], str]:
    """Make the function that hides what is found: `mask` its letters and digits, or `tag` it by its kind."""

    def hide(text: str) -> str:
        while found := find(text):  # what stood beside a number can be one when that is gone
            pieces, end = [], 0
            for each in found:
                pieces += [text[end : each.start], _hide(text[each.start : each.end], each.kind, action)]
                end = each.end
            text = "".join([*pieces, text[end:]])
        return text

    return hide


def make_personal_judge(find: Callable[[str], list[Finding]]) -> Callable[[Sequence[str]], str | None]:
    """Make the rule that leaves out rows with personal data."""

    def judge(texts: Sequence[str]) -> str | None:
        return describe_findings(each for text in texts for each in find(text)) or None

    return judge


def describe_findings(findings: Iterable[Finding]) -> str:
    """Count findings by kind, in words."""
    return ", ".join(f"{number} {kind}" for kind, number in Counter(each.kind for each in findings).items())


def _hide(found: str, kind: str, action: str) -> str:
    return f"<{kind.upper()}>" if action == "tag" else re.sub(r"[^\W_]", "*", found)


def _drop_overlaps(found: Sequence[Finding]) -> list[Finding]:
    """Keep, of findings that overlap, the first kind; return them in the order of the text."""
    kept: list[Finding] = []
    for each in found:
        if not any(each.start < other.end and other.start < each.end for other in kept):
            kept.append(each)
    return sorted(kept, key=lambda each: each.start)


def _find_emails(text: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        yield from (match.span() for match in _EMAIL.finditer(text))


def _find_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Find addresses of machines; those of the machine itself say nothing about a person."""
    for pattern in (_IP4, _IP6):
        for match in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(match[0])
            except ValueError:
                continue
            if not (address.is_loopback or address.is_unspecified):
                yield match.span()


def _make_checked_finder(pattern: re.Pattern[str], is_valid: Callable[[str], bool]) -> Finder:
    def find(text: str) -> Iterator[tuple[int, int]]:
        return (match.span() for match in pattern.finditer(text) if is_valid(match[0]))

    return find


def _make_identity_finders(regions: Sequence[str]) -> list[Finder]:
    return [
        _make_checked_finder(
            re.compile(rf"(?<![A-Za-z0-9.-])(?:{form})(?![A-Za-z0-9-]|\.\d)", re.ASCII),
            import_extra(f"stdnum.{module}", RULE).is_valid,
        )
        for region in regions
        for form, module in _IDENTITY[region]
    ]


def _make_card_check() -> Callable[[str], bool]:
    """Make the check of card numbers: the form of a network, and the checksum."""
    luhn = import_extra("stdnum.luhn", RULE)

    def is_card(number: str) -> bool:
        digits = re.sub(r"[ -]", "", number)
        return bool(_CARD_NUMBERS.fullmatch(digits)) and bool(luhn.is_valid(digits))

    return is_card


def _make_phone_finder(region: str) -> Finder:
    """Make the finder of telephone numbers of a region.

    Chinese and American ones are found as they are written at home; those of Europe
    with their calling code (`+49 ...`), since at home they can look like any number.
    """
    library = import_extra("phonenumbers", RULE)
    home = {"cn": "CN", "us": "US", "eu": None}[region]

    def is_of_region(match: Any) -> bool:
        if region == "eu":
            return match.number.country_code in _EU_CODES
        if match.number.country_code != {"cn": 86, "us": 1}[region]:
            return False
        return bool(_HOME_FORMS[region].fullmatch(unicodedata.normalize("NFKC", match.raw_string).strip()))

    def find(text: str) -> Iterator[tuple[int, int]]:
        if not _PHONE_LIKE.search(text):
            return
        for match in library.PhoneNumberMatcher(text, home, max_tries=10_000):
            if is_of_region(match):
                yield match.start, match.end

    return find
