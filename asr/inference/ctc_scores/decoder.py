"""A CTC beam search over the scores of any network: `asr.Decoder`."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from asr.decoding.ctc.beam import CTCBeamSearch, TextOf
from asr.decoding.ctc.fusion import Graph
from asr.decoding.ctc.lexicon_trie import NONE
from asr.decoding.ctc.options import SCORES, CTCBeamOptions
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.inference.ctc_scores.models import Fusion, FusionSource, WordList, WordLMs
from asr.inference.ctc_scores.scores import check_frame_seconds, to_array, to_log_probs
from asr.inference.decoders.hotwords import HotWords, parse_hotwords
from asr.output.transcript import Word
from asr.text.alphabet import Alphabet, Labels
from asr.utils.options import check_choice, is_number
from asr.utils.threads import available_cores

log = logging.getLogger(__name__)

HOTWORD_SETS = 16  # sets of hot words whose models are kept
CONTEXT_WORDS = 16  # words before an utterance that are kept for the language model: more than any order


@dataclass(frozen=True)
class Decoding:
    """What a decoder found in one utterance.

    Attributes:
        text: the text.
        score: natural log; ``acoustic_score`` plus ``lm_score``.
        acoustic_score: natural log of the probability that the network gives the text, over the paths of the beam.
        lm_score: what language models, bonuses and hot words add, weights included.
        words: words with their times, in seconds if the decoder knows how long a frame is, or else in frames, and
            their confidences.
        alternatives: the next best texts.
        context: the last words before the utterance, which it goes on after.
    """

    text: str
    score: float
    acoustic_score: float
    lm_score: float
    words: tuple[Word, ...]
    alternatives: tuple[Decoding, ...] = ()
    context: str = ""

    def __str__(self) -> str:
        return self.text


class Decoder:
    """CTC prefix beam search over the scores of any network, with language models, a lexicon and hot words.

    Blank, the space between words and word pieces (``▁bun``, ``##ny``) are recognized by their names; what was found is
    logged, printed by ``print(decoder)``, and in the attributes. Control symbols (``<s>``, ``</s>``, ``<unk>``) are
    never written: they count as blank. Several threads may use one decoder.

    Args:
        labels: names of the network's labels, see `asr.text.alphabet.Alphabet.of`.
        blank: name or number of blank; None: found among the usual names.
        space: name or number of the label between words; None: found among the usual names.
        scores: what the network gives: "log_probs" (natural), "probs" or "logits"; checked.
        lm: n-gram model of words: an ARPA file (also compressed) or one of `asr lm convert`. A list of files, or a
            mapping of files to weights, is mixed into one model.
        lm_weight: factor of the natural log of a word's probability.
        word_bonus: added to the score for each word.
        unknown_words: score (natural log) of a word that the model, or the lexicon, does not have, added to that of its
            <unk>; None: such words are impossible. Labels that are phones or words know none.
        lexicon: the words that are possible (others are unknown): a file with a word a line, or a list. For labels
            that are phones a pronunciation dictionary: a file, or a mapping of words to pronunciations.
        hotwords: words or phrases to favor in every utterance, with what each adds to the score:
            ``"anna, new york=3"``, a list, a mapping, or a `Path`.
        character_lm: n-gram model of the labels (the space is |), which may be used together with ``lm``.
        character_weight: factor of the natural log of a label's probability.
        character_bonus: added to the score for each label.
        beam: number of prefixes kept after each frame.
        max_labels: number of the most probable labels of a frame that may extend a prefix; None: all.
        min_label_prob: probability below which a label does not extend a prefix.
        beam_threshold: prefixes whose score is this much (natural log) below the best one's are dropped; None: none.
        frame_seconds: seconds from one frame to the next, such as 0.02 for wav2vec 2.0; None: times are in frames.

    Attributes:
        alphabet: what was made of the labels; its ``blank`` and ``space`` are numbers.

    Raises:
        InputError: labels or options that make no sense, or a file that cannot be read.

    Example:
        >>> decoder = asr.Decoder(["<blank>", "|", "a", "b"], scores="logits")
        >>> decoder.decode(logits).text
    """

    def __init__(
        self,
        labels: Labels,
        *,
        blank: str | int | None = None,
        space: str | int | None = None,
        scores: str = "log_probs",
        lm: WordLMs | None = None,
        lm_weight: float = 0.5,
        word_bonus: float = 0.0,
        unknown_words: float | None = -10.0,
        lexicon: WordList | None = None,
        hotwords: HotWords | None = None,
        character_lm: Any = None,
        character_weight: float = 0.4,
        character_bonus: float = 0.0,
        beam: int = 100,
        max_labels: int | None = None,
        min_label_prob: float = 0.0,
        beam_threshold: float | None = None,
        frame_seconds: float | None = None,
    ) -> None:
        check_choice("scores", scores, SCORES)
        numbers = {"lm_weight": lm_weight, "word_bonus": word_bonus, "unknown_words": unknown_words}
        numbers |= {"character_weight": character_weight, "character_bonus": character_bonus}
        for name, value in numbers.items():
            is_optional = name == "unknown_words"
            if not (is_number(value) and np.isfinite(value)) and not (is_optional and value is None):
                raise InputError(f"{name}={value!r}: use a finite number" + ", or None" * is_optional)
        check_frame_seconds(frame_seconds)
        self.alphabet = Alphabet.of(labels, blank, space)
        log.info("%s", self.alphabet.describe())
        self.scores = scores
        self.frame_seconds = frame_seconds
        self.options = CTCBeamOptions(beam, 1, max_labels, min_label_prob, beam_threshold)
        self.hotwords = parse_hotwords(hotwords)
        source = FusionSource(
            self.alphabet,
            lm=lm,
            lm_weight=lm_weight,
            word_bonus=word_bonus,
            unknown_words=unknown_words,
            lexicon=lexicon,
            character_lm=character_lm,
            character_weight=character_weight,
            character_bonus=character_bonus,
        )
        self._fusion: Callable[[tuple[tuple[str, float], ...]], Fusion] = lru_cache(HOTWORD_SETS)(
            lambda favored: source.combine(dict(favored))
        )
        self._fusion_of(None)  # what does not fit is said now

    def __repr__(self) -> str:
        return f"<Decoder: {self.alphabet.describe()}; beam {self.options.beam}, reads {self.scores}>"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels in the order of the scores; with blank, where it is one more after those given."""
        return self.alphabet.labels

    @property
    def blank(self) -> str:
        """Name of the label that is taken for blank."""
        return self.labels[self.alphabet.blank]

    @property
    def space(self) -> str | None:
        """Name of the label that is taken for the space between words; None: there is none."""
        return None if self.alphabet.space is None else self.labels[self.alphabet.space]

    def decode(
        self,
        scores: Any,
        *,
        nbest: int = 1,
        hotwords: HotWords | None = None,
        after: str | Decoding = "",
        is_end: bool = True,
    ) -> Decoding:
        """Decode one utterance.

        Args:
            scores: (T, V) array, tensor or list of the decoder's kind of scores.
            nbest: number of texts: the best one and `Decoding.alternatives`.
            hotwords: further hot words for this utterance.
            after: the text, or what was decoded, before an utterance that goes on: the language model's history.
            is_end: whether the sentence ends with these scores; if not, its end is not scored.

        Raises:
            InputError: scores of another shape or kind, or hot words that cannot be written.
        """
        search, fusion, context = self._start(nbest, hotwords, after, is_end)
        search.feed(to_log_probs(to_array(scores), self.alphabet, self.scores))
        found = self._decoding(search.finish(), fusion, context)
        fusion.idle.append(search)
        return found

    def decode_batch(
        self,
        scores: Any,
        lengths: Any = None,
        *,
        nbest: int = 1,
        hotwords: HotWords | Sequence[HotWords | None] | None = None,
    ) -> list[Decoding]:
        """Decode many utterances, on all available cores; the results are those of one after another.

        Args:
            scores: (N, T, V) array or tensor, or a list of (T, V) ones.
            lengths: (N,) whole numbers, the frames of each utterance; None: all.
            nbest: see `decode`.
            hotwords: see `decode`; or a list with an item, which is not a string, for each utterance.

        Raises:
            InputError: as `decode`; the message names the utterance, counted from 0.
        """
        try:
            rows = list(scores)
        except TypeError as error:
            raise InputError(f"scores: {error}; use (utterances, frames, labels), or a list") from None
        try:
            counts = None if lengths is None else [operator.index(length) for length in lengths]
        except TypeError:  # relative ones too, such as SpeechBrain's
            raise InputError("lengths: use a list of whole numbers, the frames of each utterance") from None
        if counts is not None and len(counts) != len(rows):
            raise InputError(f"{len(counts)} lengths for {len(rows)} utterances")
        favored = self._hotwords_of_each(hotwords, len(rows))

        def decode_one(row: int) -> Decoding:
            try:
                own = to_array(rows[row])
                if counts is not None:
                    if not 0 <= counts[row] <= len(own):
                        raise InputError(f"length {counts[row]} does not fit {len(own)} frames")
                    own = own[: counts[row]]
                return self.decode(own, nbest=nbest, hotwords=favored[row])
            except InputError as error:
                raise InputError(f"utterance {row}: {error}") from error

        with ThreadPoolExecutor(available_cores()) as pool:
            return list(pool.map(decode_one, range(len(rows))))

    @staticmethod
    def _hotwords_of_each(hotwords: Any, count: int) -> Sequence[HotWords | None]:
        is_list = isinstance(hotwords, (list, tuple))
        if is_list and len(hotwords) and not all(isinstance(words, str) for words in hotwords):
            if len(hotwords) != count:
                raise InputError(f"hotwords for {len(hotwords)} utterances, but there are {count}")
            return list(hotwords)
        return [hotwords] * count

    def stream(
        self, *, hotwords: HotWords | None = None, after: str | Decoding = "", is_end: bool = True
    ) -> DecoderStream:
        """Begin an utterance whose frames arrive in pieces; for the arguments see `decode`."""
        return DecoderStream(self, hotwords, after, is_end)

    def _fusion_of(self, hotwords: HotWords | None) -> Fusion:
        return self._fusion(tuple(sorted({**self.hotwords, **parse_hotwords(hotwords)}.items())))

    def _start(
        self, nbest: int, hotwords: HotWords | None, after: str | Decoding, is_end: bool
    ) -> tuple[CTCBeamSearch, Fusion, str]:
        """Return a search at its beginning, its models, and the last words before it."""
        fusion = self._fusion_of(hotwords)
        if isinstance(after, Decoding):
            after = f"{after.context} {after.text}"
        if not isinstance(after, str):
            raise InputError(f"after={after!r}: use a text, or what was decoded")
        context = " ".join(after.split()[-CONTEXT_WORDS:])
        graph: Graph = fusion.graph if is_end and not context else fusion.after(context, self.alphabet, is_end)
        options = replace(self.options, nbest=nbest)
        try:
            search = fusion.idle.pop()
        except IndexError:
            labels, blank = len(self.alphabet.labels), self.alphabet.blank
            search = CTCBeamSearch(labels, blank, options, graph, text=self._text_of(fusion))
        search.options, search.graph = options, graph
        search.start()
        return search, fusion, context

    def _text_of(self, fusion: Fusion) -> TextOf | None:
        """What makes label sequences one text; None where each has its own."""
        if self.alphabet.kind == "tokens" and not fusion.graph.has_words:
            return None
        return lambda labels, words: " ".join(word for word, _, _ in self._words(labels, words, fusion))

    def _words(
        self, labels: Sequence[int], words: Sequence[tuple[int, int, int]], fusion: Fusion
    ) -> list[tuple[str, int, int]]:
        """Return the words of labels, with the span of each in them."""
        if not fusion.graph.has_words:
            return self.alphabet.words(labels)
        named = [
            (fusion.names[word] if word != NONE else self.alphabet.text(labels[first:end]), first, end)
            for word, first, end in words
        ]
        return [(word, self.alphabet.first_written(labels, first), end) for word, first, end in named if word]

    def _decoding(self, hypotheses: Iterable[Hypothesis], fusion: Fusion, context: str) -> Decoding:
        best, *others = [self._one(hypothesis, fusion, context) for hypothesis in hypotheses]
        return replace(best, alternatives=tuple(others))

    def _one(self, hypothesis: Hypothesis, fusion: Fusion, context: str) -> Decoding:
        unit = self.frame_seconds or 1.0
        words = tuple(
            Word(
                text,
                round(hypothesis.frames[first][0] * unit, 6),
                round(hypothesis.frames[end - 1][1] * unit, 6),
                float(np.prod(hypothesis.confidence[first:end])),
            )
            for text, first, end in self._words(hypothesis.labels, hypothesis.words, fusion)
        )
        return Decoding(
            " ".join(word.text for word in words),
            hypothesis.score,
            hypothesis.score - hypothesis.model_score,
            hypothesis.model_score,
            words,
            context=context,
        )


class DecoderStream:
    """A search over one utterance, as its frames arrive; make one with `Decoder.stream`.

    Feeding the frames in pieces gives the same result as decoding them at once.
    """

    def __init__(self, decoder: Decoder, hotwords: HotWords | None, after: str | Decoding, is_end: bool) -> None:
        self._decoder = decoder
        self._search, self._fusion, self._context = decoder._start(1, hotwords, after, is_end)
        self._frames = 0
        self._is_finished = False

    def feed(self, scores: Any) -> None:
        """Search the next frames (T, V). Raises InputError as `Decoder.decode`, and after `finish`."""
        if self._is_finished:
            raise InputError("this stream is finished: begin another one with decoder.stream()")
        decoder = self._decoder
        log_probs = to_log_probs(to_array(scores), decoder.alphabet, decoder.scores, self._frames)
        self._search.feed(log_probs)
        self._frames += len(log_probs)

    @property
    def partial(self) -> str:
        """The best text so far, which later frames may change."""
        labels, words = self._search.best_prefix()
        ended = self._decoder._words(labels, words, self._fusion)
        if not self._fusion.graph.has_words:
            return " ".join(word for word, _, _ in ended)
        rest = self._decoder.alphabet.text(labels[words[-1][2] if words else 0 :])
        return " ".join([*(word for word, _, _ in ended), *([rest] if rest else [])])

    def finish(self, nbest: int = 1) -> Decoding:
        """Return what was decoded; ``nbest`` as in `Decoder.decode`. No frames can be fed after it."""
        self._is_finished = True
        self._search.options = replace(self._search.options, nbest=nbest)
        return self._decoder._decoding(self._search.finish(), self._fusion, self._context)
