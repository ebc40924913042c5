"""Rules on scripts and languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import regex

from ftkit.data.cleaning.extras import import_extra
from ftkit.errors import RecipeError

Judge = Callable[[Sequence[str]], "str | None"]

_READ_CHARACTERS = 2000  # of a text; its language does not depend on the rest
_FEWEST_LETTERS = 5
_CHINESE = frozenset({"zh", "yue", "wuu"})
_LETTER = regex.compile(r"\p{L}")


def make_scripts(scripts: Sequence[str], least_share: float) -> Judge:
    """Make the rule that leaves out rows with too few letters of some scripts.

    Raises:
        RecipeError: there is no such script.
    """
    try:
        wanted = regex.compile("|".join(rf"\p{{Script={name}}}" for name in scripts))
    except regex.error as error:
        raise RecipeError(
            f"data.clean: scripts: no such script among {', '.join(scripts)}; write names such as Han, Latin"
        ) from error

    def judge(texts: Sequence[str]) -> str | None:
        letters = "".join(_LETTER.findall("".join(texts)))
        share = len(wanted.findall(letters)) / len(letters) if letters else 0.0
        if share >= least_share:
            return None
        wanted_names = " or ".join(scripts)
        return f"{share:.0%} of {len(letters):,} letters are {wanted_names}, fewer than {least_share:.0%}"

    return judge


def make_languages(languages: Sequence[str], confidence: float) -> Judge:
    """Make the rule that leaves out rows which are in another language.

    Raises:
        RecipeError: the identifier does not know one of the languages.
        MissingDependencyError: py3langid is not installed.
    """
    known = load_identifier("languages").labels
    unknown = [code for code in languages if code not in known]
    if unknown:
        raise RecipeError(
            f"data.clean: languages: unknown code {unknown[0]!r}; the codes are {', '.join(sorted(known))}"
        )

    def judge(texts: Sequence[str]) -> str | None:
        found = identify_language("\n".join(texts))
        if found is None or found[0] in languages or found[1] < confidence:
            return None
        return f"{found[0]} with probability {found[1]:.2f}, not {' or '.join(languages)}"

    return judge


@cache
def load_identifier(needed_by: str) -> Any:
    """Load the identifier of py3langid, whose model lies in its package."""
    library = import_extra("py3langid.langid", needed_by)
    return library.LanguageIdentifier.from_model_file(library.MODEL_FILE, norm_probs=True)


def identify_language(text: str) -> tuple[str, float] | None:
    """Identify the language of a text.

    Returns:
        Its code and the probability; None for a text with hardly a letter. The Chinese languages that
        the identifier tells apart are `zh`, with their probabilities added.
    """
    text = text[:_READ_CHARACTERS]
    if len(_LETTER.findall(text)) < _FEWEST_LETTERS:
        return None
    ranked = load_identifier("languages").rank(text)
    code, probability = ranked[0]
    if code in _CHINESE:
        return "zh", sum(share for other, share in ranked if other in _CHINESE)
    return code, probability
