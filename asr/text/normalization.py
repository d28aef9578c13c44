"""Normalization of text before it is encoded or scored; its options are stored with the model."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from asr.errors import InputError
from asr.text.numbers import numbers_left, spell_numbers
from asr.utils.options import check_choice, check_names, did_you_mean

log = logging.getLogger(__name__)

NUMBERS_SHOWN = 10  # numbers that are not understood, in a message

# Characters of other categories that are as invisible as those of Cf: joiner, fillers, variation selectors, control
# characters that are no white space, halves of surrogate pairs.
_INVISIBLE = (
    frozenset("\u034f\u115f\u1160\u3164\u180b\u180c\u180d\uffa0\x7f")
    | set(map(chr, (*range(0xFE00, 0xFE10), *range(0x09), *range(0x0E, 0x1C))))
    | set(map(chr, range(0xD800, 0xE000)))
)
# Joiners that change letters: ZWNJ between letters of the Arabic and Indic scripts, ZWJ after them.
_JOINED = "\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af"
_JOINER = re.compile(f"(?<=[{_JOINED}])\u200c(?=[{_JOINED}])|(?<=[{_JOINED}])\u200d")
_DOTTED_I = {"tr": {"İ": "i", "I": "ı"}, "az": {"İ": "i", "I": "ı"}}  # lower case that differs from Unicode's default
APOSTROPHES = "’‘ʼ´′‛ʹʻʽ΄\u1ffd᾽᾿＇\x91\x92"  # whatever looks like one, or is one in Windows' character set
# The preset's replacements and removals of models that were saved by earlier versions.
_FORMER_ENGLISH = (
    dict.fromkeys("’‘ʼ", "'") | dict.fromkeys("-‐‑‒–—―−", " ") | {"…": " "},
    '.,;:!?"“”„«»()[]{}*_`¡¿',
)


def is_invisible(character: str) -> bool:
    """Tell whether nobody sees a character: a format character, variation selector or filler."""
    return unicodedata.category(character) == "Cf" or character in _INVISIBLE


def visible(text: str) -> str:
    """Return a text without invisible characters; joiners stay where the Arabic and Indic scripts need them."""
    if text.isascii() and text.isprintable():
        return text
    needed = {match.start() for match in _JOINER.finditer(text)}
    return "".join(c for at, c in enumerate(text) if not is_invisible(c) or at in needed)


def look_alike(character: str) -> str:
    """Return the plain character that one looks like: an apostrophe, or none if it is invisible; or itself."""
    return "'" if character in APOSTROPHES else "" if is_invisible(character) else character


@dataclass(frozen=True)
class TextNormalizer:
    """Normalizes text in this order: invisible characters, numbers, replacements, Unicode form, case, removals, spaces.

    Args:
        unicode: normal form of characters.
        case: letter case; "keep" leaves it.
        language: "tr" or "az" for their letter case, where I is the capital of ı and İ of i; "": any other language.
        invisible: "remove" deletes characters that nobody sees: format characters (soft hyphen, zero-width space,
            direction marks, U+FEFF), variation selectors, fillers and control characters, but not joiners within words
            of the Arabic and Indic scripts; "keep" leaves them.
        numbers: "spell" writes them as English words, see `asr.text.numbers.spell_numbers`; "keep" leaves them.
        replace: strings to replace, applied entry by entry, in its order.
        remove: characters to delete.
        white_space: "single" makes each run of white space one space and strips both ends; "keep" leaves it.

    Raises:
        InputError: a value that is none of these; the option is named.
    """

    unicode: Literal["NFC", "NFKC"] = "NFC"
    case: Literal["lower", "upper", "keep"] = "keep"
    replace: Mapping[str, str] = field(default_factory=dict, hash=False)
    remove: str = ""
    white_space: Literal["single", "keep"] = "single"
    language: Literal["", "tr", "az"] = ""
    invisible: Literal["keep", "remove"] = "keep"
    numbers: Literal["keep", "spell"] = "keep"

    def __post_init__(self) -> None:
        check_choice("normalization.unicode", self.unicode, ("NFC", "NFKC"))
        check_choice("normalization.case", self.case, ("lower", "upper", "keep"))
        check_choice("normalization.white_space", self.white_space, ("single", "keep"))
        check_choice("normalization.language", self.language, ("", *_DOTTED_I))
        check_choice("normalization.invisible", self.invisible, ("keep", "remove"))
        check_choice("normalization.numbers", self.numbers, ("keep", "spell"))
        if not isinstance(self.remove, str):
            raise InputError(f"normalization.remove: {self.remove!r} is not a string of characters")
        if not isinstance(self.replace, Mapping):
            raise InputError(f"normalization.replace: {self.replace!r} is not a mapping of strings")
        for old, new in self.replace.items():
            if not (isinstance(old, str) and isinstance(new, str) and old):
                raise InputError(
                    f"normalization.replace: {old!r}: {new!r} is not a pair of strings, the first not empty"
                )
        object.__setattr__(self, "replace", dict(self.replace))  # plain, so that a configuration's mapping can be saved

    def apply(self, text: str) -> str:
        """Return the normalized text."""
        if self.invisible == "remove":
            text = visible(text)
        if self.numbers == "spell":
            text = spell_numbers(text)
        for old, new in self.replace.items():
            text = text.replace(old, new)
        text = unicodedata.normalize(self.unicode, text)
        if self.case != "keep":  # a change of case can decompose a character, so compose once more
            text = unicodedata.normalize(self.unicode, self._change_case(text))
        removed = str.maketrans("", "", self.remove)
        text = text.translate(removed)
        # the neighbors of a removed character may compose now: c, a full stop and a combining cedilla are ç
        while (composed := unicodedata.normalize(self.unicode, text)) != text:
            text = composed.translate(removed)
        return text if self.white_space == "keep" else " ".join(text.split())

    def _change_case(self, text: str) -> str:
        letters = _DOTTED_I.get(self.language, {})
        if self.case == "lower":
            letters = letters or {"İ": "i"}  # whose small letter has two dots in Unicode
            return text.translate({ord(capital): small for capital, small in letters.items()}).lower()
        return text.translate({ord(small): capital for capital, small in letters.items()}).upper()

    def changed_letters(self, texts: Iterable[str]) -> dict[str, str]:
        """Return the letters of texts that the Unicode form changes to others, as ʰ to h, with what becomes of each.

        Widths and ligatures do not count, which are only another way to write the same letters.
        """
        letters = {c for text in texts if not text.isascii() for c in text if unicodedata.category(c)[0] == "L"}
        raised = [c for c in sorted(letters) if unicodedata.decomposition(c).startswith(("<super>", "<sub>"))]
        return {c: new for c in raised if (new := unicodedata.normalize(self.unicode, c)) != c}

    def watch(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield texts as they are; in the end, log a warning of `changed_letters`, and of numbers not spelled out."""
        changed: dict[str, str] = {}
        left: Counter[str] = Counter()
        for text in texts:
            if self.numbers == "spell":
                left.update(numbers_left(spell_numbers(text)))
            if self.unicode == "NFKC" and not text.isascii():
                changed |= self.changed_letters([text])
            yield text
        if changed:
            listed = ", ".join(f"{old} (U+{ord(old):04X}) to {new}" for old, new in sorted(changed.items()))
            log.warning(
                "normalization changes letters: %s; to keep phonetic spelling set normalization to none",
                listed,
            )
        if left:
            log.warning("%s", describe_numbers(left))

    @classmethod
    def english(cls) -> TextNormalizer:
        """Make the preset for English: lower case, straight quotes, dashes to spaces, punctuation removed.

        Letters, apostrophe and space stay. So do digits and symbols that are spoken (``& % $ + = @ #``): encoding then
        names them instead of losing words. Single quotes around a word stay too: they cannot be told from apostrophes.
        Whatever looks like an apostrophe, a quotation mark or a dash counts as one (also the control characters that
        they become when a text of Windows is taken for Latin-1), and invisible characters are removed.
        """
        replacements = (
            dict.fromkeys(APOSTROPHES, "'")
            | dict.fromkeys("-‐‑‒–—―−－﹣﹘⸺⸻\x96\x97", " ")
            | {"…": " ", "\x85": " ", "″": "", "‴": "", "İ": "i"}
        )
        remove = '.,;:!?"“”„«»()[]{}*_`¡¿' + "‹›‚‟〝〞〟❛❜❝❞\x82\x84\x93\x94" + "。、「」『』《》〈〉【】〔〕" + "،؛؟۔"
        return cls(unicode="NFKC", case="lower", replace=replacements, remove=remove, invisible="remove")

    @classmethod
    def from_config(cls, config: str | Mapping[str, Any] | TextNormalizer | None) -> TextNormalizer:
        """Make a normalizer from a preset's name ("english", "none"), a mapping of the options, or None for "none".

        A mapping can begin with a preset, whose other options stay: ``{preset: english, language: tr}``.
        The options that the preset "english" had in earlier versions, as saved with their models, make the present one.
        Raises InputError for anything else.
        """
        if isinstance(config, TextNormalizer):
            return config
        if config is None or config == "none":
            return cls()
        if config == "english":
            return cls.english()
        names = [f.name for f in fields(cls)]
        if not isinstance(config, Mapping):
            near = did_you_mean(config, ["english", "none"])
            raise InputError(
                f"normalization={config!r} is neither english, none nor a mapping of {', '.join(names)}{near}"
            )
        check_names("normalization", config, ["preset", *names])
        options = dict(config)
        if (preset := options.pop("preset", None)) is not None:
            check_choice("normalization.preset", preset, ("english", "none"))
            return replace(cls.from_config(preset), **options)
        made = cls(**options)
        if made == cls(unicode="NFKC", case="lower", replace=_FORMER_ENGLISH[0], remove=_FORMER_ENGLISH[1]):
            return cls.english()
        return made


def describe_numbers(left: Counter[str]) -> str:
    """Describe counted `numbers_left` for a message."""
    listed = ", ".join(f"{part!r} ({count})" for part, count in left.most_common(NUMBERS_SHOWN))
    more = ", …" if len(left) > NUMBERS_SHOWN else ""
    return f"numbers that are not understood stay as they are: {listed}{more}"


def without_accents(text: str) -> str:
    """Return a text whose letters lack their accents: é becomes e. Letters such as ø and ß stay."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
