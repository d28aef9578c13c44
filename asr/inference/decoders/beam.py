"""CTC prefix beam search, alone or with language models, a lexicon and hot words."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from asr.decoding.ctc._batch import check_batch
from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.ctc.fusion import Graph, LabelModel, WordModel, make_graph
from asr.decoding.ctc.lexicon_trie import NONE
from asr.decoding.ctc.neural_lm import NeuralModel
from asr.decoding.ctc.options import CTCBeamOptions
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.prefixes import TextOf
from asr.decoding.rows import search_rows
from asr.errors import InputError
from asr.inference.decoders.base import BaseDecoder, RepeatedSearch
from asr.inference.decoders.hotwords import HotWords, parse_hotwords
from asr.inference.decoders.models import WordSource
from asr.inference.decoders.rescoring import Rescoring
from asr.inference.decoders.segments import SegmentedSearch, between_pauses, select
from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import Vocabulary

# options that can be changed without reading a file again: for each the model in `FusionModels` and the model's field
TUNABLE = {
    "lm_weight": ("words", "weight"),
    "word_bonus": ("words", "bonus"),
    "unknown_words": ("words", "unknown"),
    "character_weight": ("labels", "weight"),
    "character_bonus": ("labels", "bonus"),
    "neural_weight": ("neural", "weight"),
    "neural_bonus": ("neural", "bonus"),
    "rescoring_weight": ("rescoring", "weight"),
}


class FusionModels(NamedTuple):
    """The language models of a beam search: n-gram models of words and of labels, networks.

    ``neural`` scores labels during the search, ``rescoring`` the texts that it finds.
    """

    words: WordModel | None = None
    labels: LabelModel | None = None
    neural: NeuralModel | None = None
    rescoring: Rescoring | None = None

    def graph(self, labels: int) -> Graph:
        """Return what takes part in a search over a number of labels in the form that it reads."""
        return make_graph(labels, self.words, self.labels, self.neural)


class BeamDecoder(BaseDecoder):
    """CTC prefix beam search (`asr.decoding.ctc.beam`) over one head.

    Args:
        vocabulary: of the head that is decoded.
        options: width and pruning of the search; None: the defaults.
        models: language models that take part in the search (shallow fusion). With a model of words over a head of
            phones, texts are compared as words (``scoring_vocabulary``).
        calibration: see `BaseDecoder`.
        min_confidence: words between two pauses whose mean confidence is below this are left out: they are most likely
            noise, music or another language. It needs a calibration with certainty.
        source: what the model of words was made of, for `with_hotwords`; None: hot words of characters alone.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        options: CTCBeamOptions | None = None,
        models: FusionModels | None = None,
        *,
        calibration: Sequence[float] | None = None,
        min_confidence: float = 0.0,
        source: WordSource | None = None,
    ) -> None:
        super().__init__(vocabulary, calibration=calibration)
        self.min_confidence = min_confidence
        self.options = options or CTCBeamOptions()
        self.models = models or FusionModels()
        self.graph = self.models.graph(len(vocabulary))
        self._source = source or WordSource(vocabulary)
        self._names: Sequence[str] = self.models.words.words if self.models.words else ()
        if self.models.words and vocabulary.kind == "phones":
            self.scoring_vocabulary = Vocabulary.characters(sorted(set().union(*self._names)), TextNormalizer.english())

    @property
    def weights(self) -> dict[str, Any]:
        """The options that `with_weights` can change: the beam and `TUNABLE`; None where there is no such model."""
        tunable = {name: getattr(getattr(self.models, model), field, None) for name, (model, field) in TUNABLE.items()}
        return {"beam": self.options.beam} | tunable

    def with_weights(self, **weights: Any) -> BeamDecoder:
        """Return a decoder with another beam or other `TUNABLE` weights, which shares the models of this one.

        Raises:
            InputError: a weight of a model that this decoder does not have.
        """
        other = copy.copy(self)
        other.options = replace(self.options, beam=weights.pop("beam", self.options.beam))
        models = self.models._asdict()
        for name, value in weights.items():
            model, field = TUNABLE[name]
            if models[model] is None:
                raise InputError(f"{name}: this decoder has no such model; it has {', '.join(self._tunable())}")
            models[model] = replace(models[model], **{field: value})
        other.models = FusionModels(**models)
        other.graph = other.models.graph(len(self.vocabulary))
        return other

    def with_hotwords(self, hotwords: HotWords) -> BeamDecoder:
        """Return a decoder with these hot words in place of its own, which shares the models of this one.

        Args:
            hotwords: see `asr.inference.decoders.hotwords.parse_hotwords`.

        Raises:
            InputError: hot words that cannot be read, or none that can be used.
        """
        now, other = self.models.words, copy.copy(self)
        words = self._source.favor(parse_hotwords(hotwords))
        if now is not None and (now.weight, now.bonus, now.unknown) != (words.weight, words.bonus, words.unknown):
            words = replace(words, weight=now.weight, bonus=now.bonus, unknown=now.unknown)  # see `with_weights`
        other.models = self.models._replace(words=words)
        other.graph = other.models.graph(len(self.vocabulary))
        other._names = words.words
        return other

    def with_confidences(self, calibration: Sequence[float] | None, min_confidence: float) -> BeamDecoder:
        """Return a decoder that judges words otherwise, and shares the models of this one."""
        other = copy.copy(self)
        other.calibration, other.min_confidence = calibration, min_confidence
        return other

    def _tunable(self) -> list[str]:
        """Names of the weights of the models that there are."""
        return ["beam", *(name for name, (model, _) in TUNABLE.items() if getattr(self.models, model))]

    def search(self, log_probs: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """Return the n best hypotheses, best first, of each utterance: log-probabilities (N, T, V), lengths (N,).

        They are those that `start` finds, on all available cores. No two of them have one text: label sequences that
        differ in separators only are summed up.

        Raises:
            InputError: shapes or lengths do not fit, or scores are not of the kind in the options.
        """
        log_probs, lengths = check_batch(log_probs, lengths, self.vocabulary.blank)
        if log_probs.shape[2] != len(self.vocabulary):
            raise InputError(f"scores have {log_probs.shape[2]} labels, the vocabulary has {len(self.vocabulary)}")
        return search_rows(self.start, log_probs, lengths)

    def start(self, pool: Executor | None = None) -> RepeatedSearch:
        """Begin a search over one recording, which is searched in segments between pauses if it is long."""
        labels, blank = len(self.vocabulary), self.vocabulary.blank

        def make_search() -> CTCBeamSearch:
            return CTCBeamSearch(labels, blank, self._wide, self.graph, self.models.neural, self._text_of)

        return SegmentedSearch(make_search, pool, self._revise)

    @property
    def first_pass(self) -> BeamDecoder:
        """This decoder without its second pass."""
        other = copy.copy(self)
        other.models = self.models._replace(rescoring=None)
        return other

    @property
    def _wide(self) -> CTCBeamOptions:
        """The options of the search, which finds as many hypotheses as the second pass reads."""
        rescoring = self.models.rescoring
        return replace(self.options, nbest=max(self.options.nbest, rescoring.nbest)) if rescoring else self.options

    def _revise(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Return the n best hypotheses of a segment in the order of the second pass, without doubtful words."""
        rescoring, words = self.models.rescoring, self.models.words
        if rescoring and words:
            texts = [[word for word, _, _ in self.words(hypothesis)] for hypothesis in hypotheses]
            hypotheses = rescoring.reorder(hypotheses, texts, words)
        return [self.without_doubtful(hypothesis) for hypothesis in hypotheses[: self.options.nbest]]

    def without_doubtful(self, hypothesis: Hypothesis) -> Hypothesis:
        """Leave out the words between two pauses whose mean confidence is below ``min_confidence``."""
        if not self.min_confidence or self.calibration is None or not any(self.calibration[2:]):
            return hypothesis  # confidences are not made to tell speech from noise
        words, confidence = self.words(hypothesis), self.confidence(hypothesis)
        starts = [0, *(first for _, first, _ in words[1:]), len(hypothesis.labels)]  # separators end a word
        kept = [
            (starts[begin], starts[end])
            for begin, end in between_pauses([hypothesis.frames[first:last] for _, first, last in words])
            if np.mean(confidence[begin:end]) >= self.min_confidence
        ]
        return select(hypothesis, kept)

    @property
    def _text_of(self) -> TextOf | None:
        """What makes label sequences one text: only characters and SentencePiece units spell one in several ways."""
        if self.graph.has_words:
            return lambda labels, words: self.text(Hypothesis(labels, 0.0, words=words))
        if self.vocabulary.kind == "characters":
            tokens = self.vocabulary.tokens
            return lambda labels, _: " ".join("".join([tokens[label] for label in labels]).split())
        if self.vocabulary.kind == "sentencepiece":
            return lambda labels, _: self.vocabulary.decode(labels)
        return None

    def words(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """Return the words of a hypothesis: (text, first label, last label + 1)."""
        if not self.graph.has_words:
            return super().words(hypothesis)
        return [
            (self._names[word] if word != NONE else self.vocabulary.decode(hypothesis.labels[first:end]), first, end)
            for word, first, end in hypothesis.words
        ]
