"""Learn a tokenizer from texts, with the special tokens that a kind of model needs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from ftkit.errors import DataError, RecipeError
from ftkit.sources.nearest import find_nearest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)

Algorithm = Literal["byte-level-bpe", "bpe", "wordpiece", "unigram"]
Normalizer = Literal["auto", "none", "nfc", "nfkc", "nfkc-lowercase", "bert", "bert-cased"]
Frame = Literal["encoder", "decoder", "encoder-decoder"]

ALGORITHMS: tuple[str, ...] = get_args(Algorithm)
NORMALIZERS: tuple[str, ...] = get_args(Normalizer)
LONGEST_TOKEN = 16
"""Characters of the longest token of BPE and Unigram: a line of Chinese is one word to them."""
NUM_SENTINELS = 100
"""Tokens `<extra_id_0>` and so on of encoder-decoders, which stand for gaps in a text, as in T5."""

_USUAL_NORMALIZERS = {"byte-level-bpe": "none", "bpe": "nfkc", "wordpiece": "bert", "unigram": "nfkc"}


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens of a tokenizer, by what they are for."""

    pad: str
    unknown: str
    begin: str
    end: str
    mask: str

    def list_all(self) -> list[str]:
        """List them in the order of their ids."""
        return [self.pad, self.unknown, self.begin, self.end, self.mask]


BERT_TOKENS = SpecialTokens("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_TOKENS = SpecialTokens("<pad>", "<unk>", "<s>", "</s>", "<mask>")


def learn_tokenizer(
    texts: Iterable[str],
    *,
    algorithm: str = "byte-level-bpe",
    vocab_size: int = 8000,
    special_tokens: Sequence[str] = (),
    normalizer: str = "auto",
    frame: Frame = "encoder",
    max_tokens: int | None = None,
) -> PreTrainedTokenizerFast:
    """Learn a tokenizer from texts.

    BPE of both kinds comes out the same for the same texts. WordPiece and Unigram may number their tokens
    otherwise each time, because the library counts words in no fixed order: keep what was learned.

    Args:
        texts: what to learn from; read once.
        algorithm: one of `ALGORITHMS`.
        vocab_size: tokens at most, special ones included; few texts give fewer.
        special_tokens: further ones that no text is cut at or learned from, such as `<|user|>`.
        normalizer: one of `NORMALIZERS`; `auto`: none for byte-level BPE, which can give back any text
            as it was; BERT's for WordPiece; NFKC for the other two.
        frame: the special tokens around a text: begin and end for an encoder, the end alone for an
            encoder-decoder, none for a decoder.
        max_tokens: longest input that the tokenizer names as its limit; None for no limit.

    Raises:
        RecipeError: an unknown algorithm or normaliser, or a vocabulary that is too small.
        DataError: no text to learn from.
    """
    from transformers import PreTrainedTokenizerFast

    _check_name("algorithm", algorithm, ALGORITHMS)
    _check_name("normalizer", normalizer, NORMALIZERS)
    named = BERT_TOKENS if algorithm == "wordpiece" else ROBERTA_TOKENS
    sentinels = (
        [f"<extra_id_{number}>" for number in range(NUM_SENTINELS)] if frame == "encoder-decoder" else []
    )
    special = list(dict.fromkeys([*named.list_all(), *special_tokens, *sentinels]))
    tokenizer = _make_empty(algorithm, normalizer, named)
    trainer = _make_trainer(algorithm, vocab_size, special, named.unknown)
    counter = _Counter(texts)
    _train(tokenizer, counter, trainer, vocab_size)
    if counter.number == 0:
        raise DataError("data.train: there is no text in the rows to learn a tokenizer from")
    tokenizer.post_processor = _make_frame(frame, named, special)
    size = tokenizer.get_vocab_size()
    logger.info("tokenizer: %d tokens (%s) of %s texts", size, algorithm, f"{counter.number:,}")
    if size < vocab_size:
        logger.warning("tokenizer: vocab_size is %d, but the texts gave only %d tokens", vocab_size, size)
    inputs = ["input_ids", *(["token_type_ids"] if named is BERT_TOKENS else []), "attention_mask"]
    limit = {"model_max_length": max_tokens} if max_tokens is not None else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=[token for token in special if token not in named.list_all()],
        clean_up_tokenization_spaces=False,
        model_input_names=inputs,
        **_name_tokens(named, frame),
        **limit,
    )


class _Counter:
    """Texts that are counted while they are read."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = texts
        self.number = 0

    def __iter__(self) -> Any:
        for text in self.texts:
            self.number += bool(text)
            yield text


def _check_name(what: str, found: str, known: Sequence[str]) -> None:
    if found not in known:
        nearest = find_nearest(found, known, most=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise RecipeError(f"tokenizer: unknown {what} '{found}'; there are {', '.join(known)}{hint}")


def _make_empty(algorithm: str, normalizer: str, named: SpecialTokens) -> Any:
    """Make a tokenizer with its rules and without a vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    if algorithm == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token=named.unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
    elif algorithm == "byte-level-bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        model = models.Unigram() if algorithm == "unigram" else models.BPE(unk_token=named.unknown)
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    rule = _make_normalizer(_USUAL_NORMALIZERS[algorithm] if normalizer == "auto" else normalizer)
    if rule is not None:
        tokenizer.normalizer = rule
    return tokenizer


def _make_normalizer(name: str) -> Any:
    from tokenizers import normalizers

    made: dict[str, Callable[[], Any]] = {
        "nfc": normalizers.NFC,
        "nfkc": normalizers.NFKC,
        "nfkc-lowercase": lambda: normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
        "bert": lambda: normalizers.BertNormalizer(lowercase=True),
        "bert-cased": lambda: normalizers.BertNormalizer(lowercase=False, strip_accents=False),
    }
    return made[name]() if name in made else None


def _make_trainer(algorithm: str, vocab_size: int, special: list[str], unknown: str) -> Any:
    from tokenizers import pre_tokenizers, trainers

    common: dict[str, Any] = {"vocab_size": vocab_size, "special_tokens": special, "show_progress": False}
    if algorithm == "wordpiece":
        return trainers.WordPieceTrainer(**common)
    if algorithm == "unigram":
        return trainers.UnigramTrainer(**common, unk_token=unknown, max_piece_length=LONGEST_TOKEN)
    alphabet = pre_tokenizers.ByteLevel.alphabet() if algorithm == "byte-level-bpe" else []
    if len(alphabet) + len(special) > vocab_size:
        needed = f"{len(alphabet)} bytes and {len(special)} special tokens"
        raise RecipeError(f"tokenizer: vocab_size is {vocab_size}; {needed} need more; raise it")
    return trainers.BpeTrainer(**common, initial_alphabet=alphabet, max_token_length=LONGEST_TOKEN)


def _train(tokenizer: Any, texts: Iterable[str], trainer: Any, vocab_size: int) -> None:
    try:
        tokenizer.train_from_iterator(texts, trainer)
    except Exception as error:  # the Rust library raises bare Exceptions
        if "vocabulary is not large enough" not in str(error):
            raise
        raise RecipeError(
            f"tokenizer: vocab_size is {vocab_size}, fewer than the texts have different characters; raise it"
        ) from error
    if tokenizer.get_vocab_size() > vocab_size:
        raise RecipeError(
            f"tokenizer: vocab_size is {vocab_size}, but special tokens and the different characters of the "
            f"texts are {tokenizer.get_vocab_size()}; raise it, or take byte-level-bpe"
        )


def _make_frame(frame: Frame, named: SpecialTokens, special: list[str]) -> Any:
    """Make what puts special tokens around a text, or around a pair of texts."""
    from tokenizers import processors

    ids = [(token, special.index(token)) for token in (named.begin, named.end)]
    if frame == "encoder":
        one = f"{named.begin}:0 $A:0 {named.end}:0"
        types = 1 if named is BERT_TOKENS else 0
        return processors.TemplateProcessing(
            single=one, pair=f"{one} $B:{types} {named.end}:{types}", special_tokens=ids
        )
    if frame == "encoder-decoder":
        one = f"$A {named.end}"
        return processors.TemplateProcessing(single=one, pair=f"{one} $B {named.end}", special_tokens=ids)
    return processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])


def _name_tokens(named: SpecialTokens, frame: Frame) -> dict[str, str]:
    """Say in the words of transformers what each special token is for."""
    names = {"pad_token": named.pad, "unk_token": named.unknown, "eos_token": named.end}
    if frame != "encoder-decoder":
        names["bos_token"] = named.begin
    if frame == "encoder":
        names |= {"cls_token": named.begin, "sep_token": named.end, "mask_token": named.mask}
    return names
