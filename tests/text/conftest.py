"""Vocabularies that several test files use."""

from __future__ import annotations

import pytest

from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import Vocabulary

SENTENCES = ["the cat sat on the mat", "she sells sea shells", "a cat's tale", "on the shore she sat"]


@pytest.fixture(scope="module")
def pieces() -> Vocabulary:
    return Vocabulary.train_sentencepiece(SENTENCES, 24, TextNormalizer.english())
