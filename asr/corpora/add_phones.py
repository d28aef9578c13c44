"""Add phones to utterances from a pronouncing dictionary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lhotse import MonoCut
from asr.text.lexicon import pronounce


@dataclass
class Coverage:
    """How many utterances got phones, and how often each word without a pronunciation occurred."""

    covered: int = 0
    utterances: int = 0
    unknown: Counter[str] = field(default_factory=Counter)


def add_phones(cuts: Iterable[MonoCut], lexicon: Mapping[str, list[tuple[str, ...]]]) -> tuple[list[MonoCut], Coverage]:
    """Cuts with ``custom["phones"]`` where all words are known; the others keep what they had."""
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
