"""Run seq2seq models: pronunciations of words, among them those that a dictionary lacks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from asr.data.batch import pad
from asr.decoding.label.beam import LabelBeamOptions
from asr.errors import InputError
from asr.models import directory, store
from asr.tasks.encoder_decoder import search
from asr.tasks.seq2seq import Seq2SeqTask
from asr.text.lexicon import Lexicon
from asr.text.normalization import without_accents
from asr.text.outside import log_skipped
from asr.text.phones import without_stress

log = logging.getLogger(__name__)

BATCH_SIZE = 256  # texts that are searched together
MAX_NAMED = 5  # words named in a warning


class ScoredText(NamedTuple):
    """An output text with the score (natural log) by which the search ranks it."""

    text: str
    score: float


class Pronouncer:
    """Writes the output texts of seq2seq models for input texts, such as pronunciations for words.

    Args:
        tasks: one task, or several of the same vocabularies that search together (an ensemble).
    """

    def __init__(self, tasks: Sequence[Seq2SeqTask]) -> None:
        self.tasks = [task.eval() for task in tasks]

    @classmethod
    def load(cls, model: str | Path, *, device: str = "cpu", ensemble: Sequence[str | Path] = ()) -> Pronouncer:
        """Load a seq2seq model.

        Args:
            model: a model directory, or the directory of a training run.
            device: of torch: cpu, cuda, cuda:1 …
            ensemble: further models of the same vocabularies, which search together with it.

        Raises:
            InputError: a path that holds no seq2seq model, or a device that cannot be used.
        """
        tasks = [store.load(directory.find(path), Seq2SeqTask) for path in (model, *ensemble)]
        return cls([store.on_device(task, device) for task in tasks])

    def pronounce(self, text: str, *, nbest: int = 1, beam: int | None = None) -> list[ScoredText]:
        """Return the output texts for one input text, best first; see `pronounce_all`.

        Raises:
            InputError: the text is empty or has characters that the model does not know.
        """
        ((_, result),) = self.pronounce_all([text], nbest=nbest, beam=beam)
        if isinstance(result, InputError):
            raise result
        return result

    def pronounce_all(
        self, texts: Sequence[str], *, nbest: int = 1, beam: int | None = None
    ) -> Iterator[tuple[int, list[ScoredText] | InputError]]:
        """Write output texts for many input texts, in batches.

        Args:
            texts: the input texts.
            nbest: number of output texts for each.
            beam: width of the search; None: the model's own, or ``nbest`` if that is more.

        Yields:
            The index of an input text and its output texts, best first, or the error of one that cannot be read.

        Raises:
            InputError: at once, for a beam narrower than ``nbest``.
        """
        options = self.tasks[0].options
        return self._pronounce(texts, replace(options, beam=beam or max(options.beam, nbest), nbest=nbest))

    def _pronounce(
        self, texts: Sequence[str], options: LabelBeamOptions
    ) -> Iterator[tuple[int, list[ScoredText] | InputError]]:
        labels: dict[int, Tensor] = {}
        for index, text in enumerate(texts):
            try:
                labels[index] = self._encode(text)
            except InputError as error:
                yield index, error
        order = sorted(labels, key=lambda index: len(labels[index]))
        first = self.tasks[0]
        for begin in range(0, len(order), BATCH_SIZE):
            indices = order[begin : begin + BATCH_SIZE]
            inputs, lengths = pad([labels[index] for index in indices])
            n_best_lists = search(self.tasks, inputs.to(first.network.device), lengths, options)
            for index, hypotheses in zip(indices, n_best_lists, strict=True):
                yield index, [ScoredText(first.vocabulary.decode(h.labels), h.score) for h in hypotheses]

    def _encode(self, text: str) -> Tensor:
        """The labels (U,) of an input text."""
        source = self.tasks[0].source
        try:
            labels = source.encode(text)
        except InputError:
            try:
                labels = source.encode(without_accents(text))
            except InputError:
                missing = [
                    unit for unit in dict.fromkeys(source.normalization.apply(text)) if unit not in source.tokens
                ]
                raise InputError(
                    f"{text!r}: the model cannot read {', '.join(map(repr, missing)) or 'it'}; write it in letters "
                    "that the model was trained on"
                ) from None
        log_skipped(self.tasks[0].source, [(text, text)])
        if not labels:
            raise InputError(f"{text!r}: there is nothing to pronounce; use a text with a letter in it")
        return torch.tensor(labels)

    def pronunciations(self, words: Iterable[str], keep_stress: bool = False) -> Lexicon:
        """Return the best pronunciation of each word; words that cannot be read are left out, and logged.

        Args:
            words: each counts once.
            keep_stress: keep the stress digits of CMUdict's phones.
        """
        distinct = list(dict.fromkeys(words))
        best: dict[int, str] = {}
        unreadable: list[str] = []
        for index, result in self.pronounce_all(distinct):
            if isinstance(result, InputError):
                unreadable.append(distinct[index])
            else:
                best[index] = result[0].text if keep_stress else without_stress(result[0].text)
        if unreadable:
            log.warning("%d words cannot be pronounced: %s", len(unreadable), ", ".join(unreadable[:MAX_NAMED]))
        return {word: [tuple(best[index].split())] for index, word in enumerate(distinct) if best.get(index)}


def pronounce_words(
    words: Sequence[str],
    model: str | Path,
    *,
    ensemble: Sequence[str | Path] = (),
    nbest: int = 1,
    beam: int | None = None,
    device: str = "cpu",
) -> Iterator[tuple[int, list[ScoredText] | InputError]]:
    """Pronounce words with a model directory (`asr pronounce`).

    Args:
        words: the words, or the input texts of another seq2seq model.
        model: as in `Pronouncer.load`.
        ensemble: as in `Pronouncer.load`.
        nbest: as in `Pronouncer.pronounce_all`.
        beam: as in `Pronouncer.pronounce_all`.
        device: as in `Pronouncer.load`.

    Returns:
        An iterator over the results, see `Pronouncer.pronounce_all`.

    Raises:
        InputError: what `Pronouncer.load` and `Pronouncer.pronounce_all` raise.
    """
    return Pronouncer.load(model, device=device, ensemble=ensemble).pronounce_all(words, nbest=nbest, beam=beam)
