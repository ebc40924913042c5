"""The rules of `data.clean`: what each is called, its options, defaults and bounds."""

import re
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic_core import CoreSchema
from typing_extensions import Self

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Count, InnerShare, Number, Text, refuse, show


def _check_pattern(pattern: str) -> str:
    """Refuse a regular expression that does not compile."""
    try:
        re.compile(pattern)
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        refuse(f"is no regular expression: {error.msg}{where}; found {show(pattern)}")
    return pattern


def _check_function(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
        refuse(f"must be module:function, such as my_lab.rules:drop_ads; found {show(name)}")
    return name


Pattern = Annotated[Text, AfterValidator(_check_pattern)]
DottedFunction = Annotated[Text, AfterValidator(_check_function)]


class RuleOptions(Section):
    """What every rule can be told."""

    MAIN: ClassVar[str | None] = None
    """The option that a value stands for: `min_characters: 20` is `min_characters: {characters: 20}`."""

    columns: Annotated[list[Text] | None, Field(min_length=1)] = None
    """Columns that the rule works on, under the task's names; `null`: all that hold text for the task."""


class NormalForm(RuleOptions):
    """Write characters in one Unicode normal form: `e` and an accent as one character."""

    MAIN = "form"
    form: Literal["NFC", "NFKC"] = "NFC"
    """NFKC also turns compatible forms into plain ones, full-width letters and Chinese punctuation such as
    `，` and `？` among them."""


class FixEncoding(RuleOptions):
    """Repair text that was read in a wrong encoding (`cafÃ©`, `浣犲ソ`), and nothing else."""


class ControlCharacters(RuleOptions):
    """Take out control characters, zero-width spaces, byte order marks and marks of writing direction."""


class WhiteSpace(RuleOptions):
    """Write each run of spaces and tabs as one space, at most one empty line in a row, none at the ends."""


class Html(RuleOptions):
    """Take out tags of HTML, comments, scripts and styles, and write entities as characters."""


class Markdown(RuleOptions):
    """Take out marks of Markdown (headings, emphasis, quotes, fences) and keep the text of links."""


class Urls(RuleOptions):
    """Take out web addresses."""

    MAIN = "action"
    action: Literal["remove", "tag", "drop"] = "remove"
    """Take them out, write `<URL>` for each, or leave the row out."""


class Chinese(RuleOptions):
    """Convert Chinese characters to simplified or traditional ones (OpenCC)."""

    MAIN = "to"
    to: Literal["simplified", "traditional"]
    """Which characters to write."""


class Replace(RuleOptions):
    """Replace what matches a regular expression."""

    pattern: Pattern
    """The expression, in the syntax of Python."""
    by: str = ""
    """What is written instead; `\\1` is the first group."""

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        try:
            re.compile(self.pattern).sub(self.by, "")
        except (re.error, IndexError) as error:
            refuse(f"by: {show(self.by)} does not fit the pattern: {error}")
        return self


class DropMatching(RuleOptions):
    """Leave out rows in which a regular expression is found."""

    MAIN = "pattern"
    pattern: Pattern
    """The expression, in the syntax of Python."""


class RepeatedLines(RuleOptions):
    """Take out lines that stand in many rows, such as footers; counted in the rows of `data.train`."""

    MAIN = "rows"
    rows: Annotated[Count, Field(ge=2)] = 10
    """In how many rows a line has to stand, at least 2."""
    characters: Count = 10
    """Shorter lines stay, at least 1."""


class MinCharacters(RuleOptions):
    """Leave out rows with fewer characters of text, white space not counted."""

    MAIN = "characters"
    characters: Count
    """Fewest characters, at least 1."""


class MaxCharacters(RuleOptions):
    """Leave out rows with more characters of text, white space not counted."""

    MAIN = "characters"
    characters: Count
    """Most characters, at least 1."""


class Repetitive(RuleOptions):
    """Leave out rows that repeat themselves: too many of their ten-character pieces came before."""

    MAIN = "share"
    share: InnerShare = 0.5
    """Largest share of repeated pieces, above 0 and below 1; rows under 50 characters stay."""


class Scripts(RuleOptions):
    """Leave out rows with too few letters of some scripts, such as Han and Latin."""

    MAIN = "scripts"
    scripts: Annotated[list[Text], Field(min_length=1)]
    """Names of Unicode scripts: Han, Latin, Cyrillic, Hiragana, ..."""
    share: InnerShare = 0.5
    """Least share of letters in them, above 0 and below 1."""


class Languages(RuleOptions):
    """Leave out rows in other languages; Cantonese and Wu count as Chinese."""

    MAIN = "languages"
    languages: Annotated[list[Text], Field(min_length=1)]
    """Codes of languages: zh, en, de, ..."""
    confidence: Annotated[Number, Field(ge=0, lt=1)] = 0.5
    """A row is left out when it is in another language with this probability or more, from 0 to below 1."""


class PersonalData(RuleOptions):
    """Hide e-mail and IP addresses, and numbers of telephones, identity papers, bank accounts and cards."""

    MAIN = "action"
    action: Literal["mask", "tag", "drop"] = "mask"
    """Write `*` for its letters and digits, write its kind (`<EMAIL>`), or leave the row out."""
    regions: Annotated[list[Literal["cn", "eu", "us"]], Field(min_length=1)] = ["cn", "eu", "us"]
    """Whose telephone and identity numbers are looked for."""
    kinds: Annotated[
        list[Literal["email", "ip", "phone", "identity", "card", "iban"]], Field(min_length=1)
    ] = ["email", "ip", "phone", "identity", "card", "iban"]
    """What is looked for."""


class Duplicates(RuleOptions):
    """Leave out rows that are equal to an earlier one of their split; after all other rules.

    Whole rows are compared, or only `columns` where they are given.
    """


class NearDuplicates(RuleOptions):
    """Leave out rows whose texts are like those of an earlier row of their split; after all other rules."""

    MAIN = "similarity"
    similarity: InnerShare = 0.8
    """Least weighted Jaccard similarity of pairs of words (or Chinese characters), above 0 and below 1."""


class Function(RuleOptions):
    """Call a function of yours with each row; it returns the row, a changed one, or None to leave it out."""

    MAIN = "name"
    name: DottedFunction
    """`module:function`."""


class CleaningRule(Section):
    """One rule: its name, or its name and its options."""

    normal_form: NormalForm | None = None
    fix_encoding: FixEncoding | None = None
    control_characters: ControlCharacters | None = None
    white_space: WhiteSpace | None = None
    html: Html | None = None
    markdown: Markdown | None = None
    urls: Urls | None = None
    chinese: Chinese | None = None
    replace: Replace | None = None
    repeated_lines: RepeatedLines | None = None
    min_characters: MinCharacters | None = None
    max_characters: MaxCharacters | None = None
    repetitive: Repetitive | None = None
    scripts: Scripts | None = None
    languages: Languages | None = None
    drop_matching: DropMatching | None = None
    personal_data: PersonalData | None = None
    function: Function | None = None
    duplicates: Duplicates | None = None
    near_duplicates: NearDuplicates | None = None

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        """Write `name` and `name: value` out as `name: {option: value}`."""
        if isinstance(value, CleaningRule):
            return value
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, dict) or len(value) != 1:
            refuse(f"must be one rule, `name` or `name: options`; found {show(value)}")
        ((name, options),) = value.items()
        if name not in RULES:
            near = get_close_matches(str(name), RULES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the rules are {', '.join(RULES)}"
            refuse(f"unknown rule {show(name)}; {hint}")
        main = RULES[name].MAIN
        if options is None:
            options = {}
        if not isinstance(options, dict):
            if main is None:
                refuse(f"{name} has no value of its own, only options; found {show(options)}")
            options = {main: options}
        for missing in _list_required(RULES[name]):
            if missing not in options:
                refuse(f"{name} needs {missing}: `{name}: {{{missing}: ...}}`")
        return {name: options}

    @property
    def name(self) -> str:
        """The rule's name."""
        return next(iter(self.model_fields_set))

    @property
    def options(self) -> RuleOptions:
        """Its options."""
        options: RuleOptions = getattr(self, self.name)
        return options

    @model_serializer
    def _write(self) -> dict[str, Any]:
        return {self.name: self.options.model_dump()}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the forms in which a rule can be written."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        for name, field in schema["properties"].items():
            options = handler.resolve_ref_schema(field["anyOf"][0])
            main = RULES[name].MAIN
            short = [options["properties"][main]] if main else []
            field.pop("default")
            field["description"] = options["description"]
            field["anyOf"] = [*short, *field["anyOf"]]
        schema |= {"minProperties": 1, "maxProperties": 1}
        alone = [name for name, rule in RULES.items() if not _list_required(rule)]
        return {"description": schema.pop("description"), "anyOf": [{"enum": alone}, schema]}


def _list_required(rule: type[RuleOptions]) -> list[str]:
    return [key for key, field in rule.model_fields.items() if field.is_required()]


RULES: dict[str, type[RuleOptions]] = {
    name: get_args(field.annotation)[0] for name, field in CleaningRule.model_fields.items()
}
"""The rules by name."""

COMPARING = frozenset({"duplicates", "near_duplicates"})
"""Rules that compare the rows of one split, after the split is made."""
