"""Words of any script: of letters where spaces part them, single characters where they don't."""

import unicodedata
from collections import Counter
from collections.abc import Iterable

import regex

_HAN = r"\p{Han}"
_KANA = r"\p{Hiragana}\p{Katakana}"
_UNSPACED = rf"{_HAN}{_KANA}\p{{Bopomofo}}\p{{Thai}}\p{{Lao}}\p{{Khmer}}\p{{Myanmar}}\p{{Tibetan}}"

# A mark (an accent, a vowel sign of Hindi or Thai) belongs to the letter before it.
_WORD = regex.compile(
    rf"[{_UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{N}}]--[{_UNSPACED}]][[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]]*",
    regex.V1,
)
_HAN_CHARACTER = regex.compile(f"[{_HAN}]")
_KANA_CHARACTER = regex.compile(f"[{_KANA}]")
_UNSPACED_CHARACTER = regex.compile(f"[{_UNSPACED}]")
_UNSPACED_RUN = regex.compile(rf"[{_UNSPACED}][{_UNSPACED}\p{{M}}]*")


def split_words(text: str) -> list[str]:
    """Split a text into lower-case words, without punctuation.

    English comes out as from ROUGE's own tokenizer; other alphabets keep their letters; Chinese,
    Japanese, Thai and other scripts without spaces come out as single characters.
    """
    words: list[str] = _WORD.findall(unicodedata.normalize("NFC", text).lower())
    return words


def find_word_spans(text: str) -> list[tuple[int, int]]:
    """Find where the words of a text lie, cut as `split_words` does: (begin, end) in characters."""
    return [match.span() for match in _WORD.finditer(text)]


def find_unspaced_runs(text: str) -> list[tuple[int, int]]:
    """Find the stretches of scripts without spaces, as long as they can be: (begin, end) in characters."""
    return [match.span() for match in _UNSPACED_RUN.finditer(text)]


def is_unspaced(text: str) -> bool:
    """Say whether a text has a character of a script without spaces."""
    return _UNSPACED_CHARACTER.search(text) is not None


def find_script(texts: Iterable[str]) -> str:
    """Find out how texts part their words.

    Returns:
        "spaced", "han" (Chinese), or "unspaced" (Japanese, Thai, ...). A tenth of the words is
        enough for the latter two: names and code in Latin letters are common in Chinese text, and
        an English text loses nothing by them.
    """
    words = han = kana = unspaced = 0
    for text in texts:
        words += len(split_words(text))
        unspaced += len(_UNSPACED_CHARACTER.findall(text))
        han += len(_HAN_CHARACTER.findall(text))
        kana += len(_KANA_CHARACTER.findall(text))
    if unspaced < max(1, words / 10):
        return "spaced"
    return "han" if kana < unspaced / 5 and han > unspaced / 2 else "unspaced"


_SCRIPTS = (
    "Latin",
    "Han",
    "Cyrillic",
    "Arabic",
    "Devanagari",
    "Greek",
    "Hangul",
    "Hebrew",
    "Thai",
    "Bengali",
)
_LETTER = regex.compile(
    "|".join([f"(?P<Japanese>[{_KANA}])", *(rf"(?P<{name}>\p{{{name}}})" for name in _SCRIPTS)])
    + r"|(?P<other>\p{L})",
    regex.V1,
)
_READ_CHARACTERS = 2_000


def name_script(text: str) -> str:
    """Name the script that most letters of a text are of, by its first 2,000 characters.

    Returns:
        A script by its Unicode name ("Latin", "Han", ...); "Japanese" where a tenth of the letters is
        kana; "other"; or "none" for a text without letters.
    """
    counts = Counter(match.lastgroup or "other" for match in _LETTER.finditer(text[:_READ_CHARACTERS]))
    if not counts:
        return "none"
    if counts["Japanese"] >= counts.total() / 10:
        return "Japanese"
    return max(counts, key=lambda name: counts[name])
