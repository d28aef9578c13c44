"""Prefix beam search with the language models, lexicon and hot words that belong to it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from asr.decoder import GreedyDecoder, Search
from asr.decoding import ctc_beam, lexicon
from asr.decoding.ctc_beam import CTCBeamSearch, Options
from asr.decoding.fusion import NONE, LabelModel, WordModel, make_graph
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.neural import NeuralModel
from asr.errors import InputError
from asr.lm import arpa
from asr.lm.ngram import BOS, EOS, UNK, NGram
from asr.normalization import Normalization
from asr.pronouncer import lexicon_for
from asr.vocabulary import SPECIALS, Vocabulary

log = logging.getLogger(__name__)

# Frames of scores: stretches of a long recording end in the first pause of so many after so many, at the latest after
# so many.
PAUSE, STRETCH, LONGEST = 15, 1000, 4000
SPACE = "|"  # what a model of characters calls the blank between words
SHOWN = 5
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
    """Prefix beam search (`asr.decoding.ctc_beam`), alone or with models.

    Args:
        vocabulary: of the head whose scores are searched.
        beam, nbest, most_labels, least, behind: see `asr.decoding.ctc_beam.Options`.
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
        most_labels: int | None = None,
        least: float = 0.0,
        behind: float | None = None,
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
        self.options = Options(beam, nbest, most_labels, least, behind)
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
            neural = neural_model(vocabulary, neural_lm, neural_weight, neural_bonus)
        self.models = words, letters, neural
        self.graph = make_graph(len(vocabulary), *self.models)
        if words and vocabulary.kind == "phones":
            self.scoring = Vocabulary.characters(words.words, Normalization.english())

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


class Segments:
    """A search over a recording of any length, as one after another over stretches between pauses.

    A pause is what a language model may take for the end of a sentence, and memory stays bounded.
    """

    def __init__(self, search: CTCBeamSearch) -> None:
        self.search = search
        self.frames = 0
        self._waiting = np.zeros((0, search.labels), dtype=np.float32)
        self._done: list[Hypothesis] = []
        self._begin = 0  # frame at which the stretch begins that is searched now

    def feed(self, log_probs: np.ndarray) -> None:
        """Take in the next frames (T, V), natural logs."""
        self.frames += len(log_probs)
        self._waiting = np.concatenate([self._waiting, log_probs])
        while (cut := pause(self._waiting[:, self.search.blank])) is not None:
            self._search(cut)

    def _search(self, frames: int) -> list[Hypothesis]:
        self.search.start()
        self.search.feed(self._waiting[:frames])
        found = [shifted(hypothesis, self._begin) for hypothesis in self.search.finish()]
        self._waiting = self._waiting[frames:]
        self._begin += frames
        self._done.append(found[0])
        return found

    def finish(self) -> list[Hypothesis]:
        """The best hypotheses; of a recording that was cut only the best one."""
        found = self._search(len(self._waiting))
        return found if len(self._done) == 1 else [joined(self._done)]


def pause(blank: np.ndarray) -> int | None:
    """Where to cut scores of blank (T,), natural logs: in the first pause after `STRETCH` frames.

    None: not yet. Where there is no pause up to `LONGEST` frames, at the surest blank of the second half.
    """
    sure = blank[STRETCH:LONGEST] > np.log(0.9)
    runs = np.convolve(sure, np.ones(PAUSE), "valid") if len(sure) >= PAUSE else np.zeros(0)
    if (found := np.flatnonzero(runs > PAUSE - 0.5)).size:
        return STRETCH + int(found[0]) + PAUSE // 2
    if len(blank) < LONGEST:
        return None
    half = LONGEST // 2
    return half + int(blank[half:LONGEST].argmax())


def shifted(hypothesis: Hypothesis, frames: int) -> Hypothesis:
    """The same, so many frames later."""
    return replace(hypothesis, frames=tuple((first + frames, end + frames) for first, end in hypothesis.frames))


def joined(parts: Sequence[Hypothesis]) -> Hypothesis:
    """Hypotheses one after another as one."""
    words: list[tuple[int, int, int]] = []
    labels = 0
    for part in parts:
        words += [(word, first + labels, end + labels) for word, first, end in part.words]
        labels += len(part.labels)
    return Hypothesis(
        labels=tuple(chain.from_iterable(part.labels for part in parts)),
        score=sum(part.score for part in parts),
        frames=tuple(chain.from_iterable(part.frames for part in parts)),
        confidence=tuple(chain.from_iterable(part.confidence for part in parts)),
        words=tuple(words),
    )


def word_model(
    vocabulary: Vocabulary,
    ngram: NGram | None,
    dictionary: str | Path | None,
    pronouncer: str | Path | None,
    hotwords: Mapping[str, float],
    weight: float,
    bonus: float,
    unknown: float | None,
) -> WordModel:
    """Words as a search over the labels of ``vocabulary`` needs them; what of them it cannot write is said."""
    known = [word for word in ngram.words if word not in (UNK, BOS, EOS)] if ngram else list(hotwords)
    if vocabulary.kind == "characters":
        if dictionary is not None or pronouncer is not None:
            raise InputError("a pronouncing dictionary is for a head of phones; this one writes characters")
        if ngram is None:
            unknown = unknown or 0.0  # hot words alone: all others are possible
        spelled = {word: [tuple(word)] for word in dict.fromkeys([*known, *hotwords])}
    elif vocabulary.kind == "phones":
        if dictionary is None and pronouncer is None:
            raise InputError("words out of phones need a pronouncing dictionary (decoder.lexicon, decoder.pronouncer)")
        pronunciations = lexicon_for([*known, *hotwords], dictionary, pronouncer)
        spelled = {word: pronunciations.get(word, []) for word in (known if ngram else pronunciations)}
        unknown = None
    else:
        raise InputError(f"words are spelled in characters or phones; this head writes {vocabulary.kind}")
    if vocabulary.edges:
        raise InputError("words cannot be searched with a head whose texts begin and end with a space (edges)")
    labels = {token: label for label, token in enumerate(vocabulary.tokens) if token not in SPECIALS}
    names: list[str] = []
    entries: list[tuple[int, tuple[int, ...]]] = []
    missing: list[str] = []
    for word, variants in spelled.items():
        usable = [tuple(labels[unit] for unit in units) for units in variants if set(units) <= labels.keys()]
        if not usable:
            missing.append(word)
            continue
        entries += [(len(names), units) for units in usable]
        names.append(word)
    say_coverage("words", len(spelled), missing)
    separator = labels.get(" ") if vocabulary.kind == "characters" else None
    return WordModel(lexicon.build(entries, separator), names, ngram, weight, bonus, unknown, hotwords)


def label_model(vocabulary: Vocabulary, ngram: NGram, weight: float, bonus: float) -> LabelModel:
    """A model of a head's labels; those that it does not have are said."""
    names = [None if t in SPECIALS else SPACE if t == " " else t for t in vocabulary.tokens]
    wanted = [name for name in names if name is not None]
    say_coverage("labels", len(wanted), [name for name in wanted if name not in ngram.index])
    return LabelModel(ngram, names, weight, bonus)


def neural_model(vocabulary: Vocabulary, model: str | Path, weight: float, bonus: float) -> NeuralModel:
    """A network's model of a head's labels; those that it does not have are said."""
    from asr import model_dir
    from asr.tasks.language import LanguageScorer, LanguageTask

    task = model_dir.load(model_dir.find(model), LanguageTask)
    scorer = LanguageScorer(task, vocabulary.tokens)
    wanted = [token for token in vocabulary.tokens if token not in SPECIALS]
    say_coverage("labels", len(wanted), [token for token in wanted if token not in task.vocabulary.tokens])
    return NeuralModel(scorer, scorer.end, scorer.end, weight, bonus)


def say_coverage(what: str, count: int, missing: Iterable[str]) -> None:
    """Log how many cannot be used, and some of them; InputError if that is all of them."""
    if not (missing := list(missing)):
        return
    some = ", ".join(repr(name) for name in missing[:SHOWN]) + ("…" if len(missing) > SHOWN else "")
    if len(missing) == count:
        raise InputError(f"model and network have no {what} in common, of {count} ({some}): another case, or alphabet?")
    log.warning("%d of %d %s cannot be used here: %s", len(missing), count, what, some)
