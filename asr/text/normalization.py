"""Normalization of text before it is encoded or scored; its options are stored with the model."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from asr.errors import InputError
from asr.utils.options import check_choice, check_names, did_you_mean


@dataclass(frozen=True)
class TextNormalizer:
    """Normalizes text in this order: replacements, Unicode form, letter case, removals, white space.

    Args:
        unicode: normal form of characters.
        case: letter case; "keep" leaves it.
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

    def __post_init__(self) -> None:
        check_choice("normalization.unicode", self.unicode, ("NFC", "NFKC"))
        check_choice("normalization.case", self.case, ("lower", "upper", "keep"))
        check_choice("normalization.white_space", self.white_space, ("single", "keep"))
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
        for old, new in self.replace.items():
            text = text.replace(old, new)
        text = unicodedata.normalize(self.unicode, text)
        if self.case != "keep":  # a change of case can decompose a character, so compose once more
            text = unicodedata.normalize(self.unicode, text.lower() if self.case == "lower" else text.upper())
        removed = str.maketrans("", "", self.remove)
        text = text.translate(removed)
        # the neighbors of a removed character may compose now: c, a full stop and a combining cedilla are ç
        while (composed := unicodedata.normalize(self.unicode, text)) != text:
            text = composed.translate(removed)
        return text if self.white_space == "keep" else " ".join(text.split())

    @classmethod
    def english(cls) -> TextNormalizer:
        """Make the preset for English: lower case, straight quotes, dashes to spaces, punctuation removed.

        Letters, apostrophe and space stay. So do digits and symbols that are spoken (``& % $ + = @ #``): encoding then
        names them instead of losing words. Single quotes around a word stay too: they cannot be told from apostrophes.
        """
        replace = dict.fromkeys("’‘ʼ", "'") | dict.fromkeys("-‐‑‒–—―−", " ") | {"…": " "}
        return cls(unicode="NFKC", case="lower", replace=replace, remove='.,;:!?"“”„«»()[]{}*_`¡¿')

    @classmethod
    def from_config(cls, config: str | Mapping[str, Any] | TextNormalizer | None) -> TextNormalizer:
        """Make a normalizer from a preset's name ("english", "none"), a mapping of the options, or None for "none".

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
        check_names("normalization", config, names)
        return cls(**config)
