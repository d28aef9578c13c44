"""Forced alignment of a text to the CTC scores of any network: `asr.align`."""

from __future__ import annotations

import logging
from typing import Any

from asr.decoding.ctc.options import SCORES
from asr.errors import InputError
from asr.inference.ctc_scores.scores import check_frame_seconds, to_array, to_log_probs
from asr.inference.decoders.word_aligner import WordAligner
from asr.output.transcript import Transcript, Word
from asr.text.alphabet import Alphabet, Labels
from asr.utils.options import check_choice

log = logging.getLogger(__name__)


def align(
    scores: Any,
    text: str,
    labels: Labels,
    *,
    blank: str | int | None = None,
    space: str | int | None = None,
    kind: str = "log_probs",
    frame_seconds: float | None = None,
) -> Transcript:
    """Find the time of each word of a known text in the scores of a CTC network.

    Words keep their spelling; they are written in the case that the labels have. Of the ways to write a word in pieces
    the one is chosen that fits best. Words that cannot be written get the time between their neighbors.

    Args:
        scores: (T, V) array, tensor or list.
        text: the text that is spoken.
        labels: names of the network's labels, see `asr.text.alphabet.Alphabet.of`.
        blank: name or number of blank; None: found among the usual names.
        space: name or number of the label between words; None: found among the usual names.
        kind: of the scores: "log_probs" (natural), "probs" or "logits"; checked.
        frame_seconds: seconds from one frame to the next; None: times are in frames.

    Returns:
        The words with their times and confidences; whether the text fits (``fits``), and what is doubtful
        (``warnings``).

    Raises:
        InputError: options that make no sense, scores of another shape or kind, a text without a word that can be
            written, or fewer frames than it needs.
    """
    check_choice("kind", kind, SCORES)
    check_frame_seconds(frame_seconds)
    if not isinstance(text, str):
        raise InputError(f"a text of type {type(text).__name__}; a string is needed")
    alphabet = Alphabet.of(labels, blank, space)
    log_probs = to_log_probs(to_array(scores), alphabet, kind)
    aligner = WordAligner(
        len(alphabet.labels),
        alphabet.blank,
        [(word, alphabet.spellings(word)) for word in text.split()],
        separator=() if alphabet.space is None else (alphabet.space,),
        why="cannot be written with the labels",
    )
    found = aligner.align(log_probs)
    for warning in found.warnings:
        log.warning("%s", warning)
    unit = frame_seconds or 1.0
    words = []
    for word, first, end in found.words:
        first = alphabet.first_written(found.labels, first)
        confidence = 1.0
        for label_confidence in found.confidence[first:end]:
            confidence *= label_confidence
        start, stop = found.frames[first][0] * unit, found.frames[end - 1][1] * unit
        words.append(Word(aligner.names[word], round(start, 6), round(stop, 6), confidence))
    return Transcript(
        " ".join(word.text for word in words),
        tuple(words),
        duration=len(log_probs) * unit,
        confidence=sum(word.confidence for word in words) / len(words),
        fits=found.fits,
        warnings=found.warnings,
    )
