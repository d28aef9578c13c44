"""A loaded seq2seq model that writes: pronunciations of words, those that a dictionary lacks among them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from asr.data.batch import pad
from asr.errors import InputError
from asr.models import directory, store
from asr.tasks.encoder_decoder import search
from asr.tasks.seq2seq import Seq2SeqTask
from asr.text.lexicon import Lexicon
from asr.text.phones import without_stress

log = logging.getLogger(__name__)

BATCH = 256  # texts that are searched together
SHOWN = 5


class Written(NamedTuple):
    """What a model writes for a text, with its natural-log score."""

    text: str
    score: float


def load(*models: str | Path, device: str = "cpu") -> Pronouncer:
    """The writer of a seq2seq model's directory or run, or of several that write together (an ensemble).

    Raises InputError for anything else.
    """
    tasks = [store.load(directory.find(model), Seq2SeqTask) for model in models]
    return Pronouncer([store.on_device(task, device) for task in tasks])


class Pronouncer:
    """Writes with one task, or several of the same vocabularies."""

    def __init__(self, tasks: Sequence[Seq2SeqTask]) -> None:
        self.tasks = [task.eval() for task in tasks]

    def write(self, texts: Sequence[str], *, nbest: int = 1, beam: int | None = None) -> list[list[Written]]:
        """The n best that the model writes for each text, best first.

        Raises InputError, before any work, naming a text that is empty or has characters that the model does not know.
        """
        first = self.tasks[0]
        beam = beam or max(first.options.beam, nbest)
        options = replace(first.options, beam=beam, nbest=nbest)
        read = [self.read(text) for text in texts]
        order = sorted(range(len(read)), key=lambda index: len(read[index]))
        found: dict[int, list[Written]] = {}
        for begin in range(0, len(order), BATCH):
            chosen = order[begin : begin + BATCH]
            inputs, lengths = pad([read[index] for index in chosen])
            best = search(self.tasks, inputs.to(first.network.device), lengths, options)
            for index, hypotheses in zip(chosen, best, strict=True):
                found[index] = [Written(first.vocabulary.decode(h.labels), h.score) for h in hypotheses]
        return [found[index] for index in range(len(read))]

    def read(self, text: str) -> Tensor:
        """The labels (U,) of a text. Raises InputError, naming it, for one that `write` refuses."""
        labels = self.tasks[0].source.encode(text, text)
        if not labels:
            raise InputError(f"{text!r}: there is nothing to read in it")
        return torch.tensor(labels)

    def readable(self, texts: Iterable[str]) -> tuple[list[str], dict[int, InputError]]:
        """The texts that can be read, and of each of the others, by its number, what is wrong with it."""
        good: list[str] = []
        bad: dict[int, InputError] = {}
        for number, text in enumerate(texts):
            try:
                self.read(text)
                good.append(text)
            except InputError as error:
                bad[number] = error
        return good, bad

    def pronunciations(self, words: Iterable[str], keep_stress: bool = False) -> Lexicon:
        """The best pronunciation of each word; words that the model cannot read are left out, and logged."""
        wanted = list(dict.fromkeys(words))
        readable, unreadable = self.readable(wanted)
        if unreadable:
            shown = ", ".join(wanted[number] for number in list(unreadable)[:SHOWN])
            log.warning("%d words cannot be read: %s", len(unreadable), shown)
        best = [n_best[0].text for n_best in self.write(readable)]
        texts = best if keep_stress else map(without_stress, best)
        return {word: [tuple(text.split())] for word, text in zip(readable, texts, strict=True) if text}
