"""Prefix beam search with the language models, lexicon and hot words that belong to it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asr.decoding.ctc import beam as ctc_beam
from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.ctc.fusion import NONE, LabelModel, WordModel, make_graph
from asr.decoding.ctc.neural_lm import NeuralModel
from asr.decoding.ctc.options import CTCBeamOptions
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.inference.decoders.base import Search
from asr.inference.decoders.greedy import GreedyDecoder
from asr.inference.decoders.models import label_model, word_model
from asr.inference.decoders.segments import Segments
from asr.lm import arpa
from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)

# the numbers of the models of words (0), of labels (1) and of labels by a network (2), and what these call them
MODELS = ("words", "characters", "characters by a network")
NUMBERS = {
    "lm_weight": (0, "weight"),
    "word_bonus": (0, "bonus"),
    "unknown_words": (0, "unknown"),
    "character_weight": (1, "weight"),
    "character_bonus": (1, "bonus"),
    "neural_weight": (2, "weight"),
    "neural_bonus": (2, "bonus"),
}


class BeamDecoder(GreedyDecoder):
    """Prefix beam search (`asr.decoding.ctc.beam`), alone or with models.

    Args:
        vocabulary: of the head whose scores are searched.
        beam, nbest, max_labels, min_label_prob, beam_threshold: see `asr.decoding.ctc.options.CTCBeamOptions`.
        lm: an ARPA file of words. A head of characters spells them; one of phones needs a ``lexicon``.
        lm_weight, word_bonus: what a word adds: weight times its natural-log probability, plus bonus.
        unknown_words: natural-log score of a word that the model does not have, more than that of its <unk>; None: such
            words are not possible (always so for phones).
        lexicon: a pronouncing dictionary (CMUdict or Kaldi), for phones; words that ``lm`` does not have are left out.
        pronouncer: the directory of a seq2seq model (`asr.tasks.seq2seq`) that pronounces what the ``lexicon`` lacks.
        character_lm: an ARPA file of the head's characters (the space is |) or phones.
        character_weight, character_bonus: what a label adds.
        neural_lm: the directory of a language model (`asr.tasks.language`) of the head's characters; it is asked about
            each new prefix, which takes far longer than the other models do.
        neural_weight, neural_bonus: what a label adds.
        hotwords: words that are likelier than the models think, with the natural log of how much.
        calibration: see `GreedyDecoder`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        beam: int = 100,
        nbest: int = 1,
        max_labels: int | None = None,
        min_label_prob: float = 0.0,
        beam_threshold: float | None = None,
        lm: str | Path | None = None,
        lm_weight: float = 0.7,
        word_bonus: float = 0.0,
        unknown_words: float | None = None,
        lexicon: str | Path | None = None,
        pronouncer: str | Path | None = None,
        character_lm: str | Path | None = None,
        character_weight: float = 0.4,
        character_bonus: float = 0.0,
        neural_lm: str | Path | None = None,
        neural_weight: float = 0.4,
        neural_bonus: float = 0.0,
        hotwords: Mapping[str, float] | None = None,
        calibration: Sequence[float] | None = None,
    ) -> None:
        super().__init__(vocabulary, calibration=calibration)
        self.options = CTCBeamOptions(beam, nbest, max_labels, min_label_prob, beam_threshold)
        self.names: Sequence[str] = ()
        words: WordModel | None = None
        letters: LabelModel | None = None
        neural: NeuralModel | None = None
        if lm is not None or lexicon is not None or hotwords:
            ngram = arpa.read(lm) if lm is not None else None
            words = word_model(
                vocabulary, ngram, lexicon, pronouncer, hotwords or {}, lm_weight, word_bonus, unknown_words
            )
            self.names = words.words
        elif pronouncer is not None:
            raise InputError("a pronouncer says words of a lexicon or of a language model: decoder.lexicon, decoder.lm")
        if character_lm is not None:
            letters = label_model(vocabulary, arpa.read(character_lm), character_weight, character_bonus)
        if neural_lm is not None:
            from asr.inference.decoders.factory import neural_model

            neural = neural_model(vocabulary, neural_lm, neural_weight, neural_bonus)
        self.models = words, letters, neural
        self.graph = make_graph(len(vocabulary), *self.models)
        if words and vocabulary.kind == "phones":
            self.scoring = Vocabulary.characters(words.words, TextNormalizer.english())

    @property
    def numbers(self) -> dict[str, Any]:
        """What `changed` can change, as it is; None where there is no such model."""
        own = {name: getattr(self.models[model], field, None) for name, (model, field) in NUMBERS.items()}
        return {"beam": self.options.beam} | own

    def changed(self, **numbers: Any) -> BeamDecoder:
        """The same decoder with another beam or other `NUMBERS` of its models; no file is read again.

        Raises InputError for numbers of a model that it does not have.
        """
        other = copy.copy(self)
        other.options = replace(self.options, beam=numbers.pop("beam", self.options.beam))
        models: list[Any] = list(self.models)
        for name, value in numbers.items():
            model, field = NUMBERS[name]
            if models[model] is None:
                raise InputError(f"{name}: there is no model of {MODELS[model]} to weigh")
            models[model] = replace(models[model], **{field: value})
        other.models = models[0], models[1], models[2]
        other.graph = make_graph(len(self.vocabulary), *other.models)
        return other

    def search(self, log_probs: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """The n best hypotheses of each utterance: (N, T, V) natural logs and (N,)."""
        neural = self.models[2]
        return ctc_beam.search(log_probs, lengths, self.vocabulary.blank, self.options, self.graph, neural)

    def start(self) -> Search:
        """A search over one recording, which is cut at pauses if it is long."""
        labels, blank, neural = len(self.vocabulary), self.vocabulary.blank, self.models[2]
        return Segments(CTCBeamSearch(labels, blank, self.options, self.graph, neural))

    def words(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """Words of a hypothesis: (text, first label, last + 1)."""
        if not self.graph.has_words:
            return super().words(hypothesis)
        return [
            (self.names[word] if word != NONE else self.vocabulary.decode(hypothesis.labels[first:end]), first, end)
            for word, first, end in hypothesis.words
        ]
