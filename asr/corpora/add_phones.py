"""Phones of utterances from a pronouncing dictionary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asr.text.lexicon import pronounce

if TYPE_CHECKING:
    from lhotse import MonoCut


@dataclass
class Coverage:
    """Coverage of a pronouncing dictionary.

    Attributes:
        covered: number of utterances that got phones.
        utterances: number of all utterances.
        unknown: occurrences of each word without a pronunciation.
    """

    covered: int = 0
    utterances: int = 0
    unknown: Counter[str] = field(default_factory=Counter)


def add_phones(cuts: Iterable[MonoCut], lexicon: Mapping[str, list[tuple[str, ...]]]) -> tuple[list[MonoCut], Coverage]:
    """Add ``custom["phones"]`` to the cuts whose words are all in the lexicon; return all cuts, and the coverage."""
    from lhotse.utils import fastcopy

    result, coverage = [], Coverage()
    for cut in cuts:
        supervision = cut.supervisions[0]
        phones, unknown = pronounce(supervision.text, lexicon)
        coverage.utterances += 1
        coverage.unknown.update(unknown)
        if phones and not unknown:
            coverage.covered += 1
            custom = {**(supervision.custom or {}), "phones": " ".join(phones)}
            cut = fastcopy(cut, supervisions=[fastcopy(supervision, custom=custom)])
        result.append(cut)
    return result, coverage
