"""Estimate a model of punctuation and letter case from punctuated prose, and its use of pauses from speech."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr.data import manifest
from asr.errors import InputError
from asr.evaluation.punctuation import PunctuatedSpeech, PunctuationScores, project, score_punctuation
from asr.inference.inputs import Recording
from asr.inference.recognizer import Recognizer
from asr.models import directory as directory_module
from asr.models import pretrained
from asr.models.writing_files import PUNCTUATION, read_writer, set_writing
from asr.output.writing import pauses_between
from asr.text.punctuated import COMMA, QUESTION, STOP, PunctuatedWord, read_paragraph, read_prose
from asr.text.punctuation import CAPITAL, GAP, Pauses, Punctuator, Table, hash_words, ngram_rows, sentence_rows
from asr.utils.numba_cache import njit
from asr.utils.progress import Progress, no_progress
from asr.utils.text_files import read_lines

log = logging.getLogger(__name__)

MARK_BITS, QUESTION_BITS, CAPITAL_BITS = 18, 16, 18
EPOCHS, RATE, DECAY = 3, 0.15, 1e-6
MIN_FORM_COUNT, MAX_FORMS = 10, 1000
PAUSE_EDGES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.2)  # seconds
CASE_UNKNOWN = -1


@dataclass(frozen=True)
class EncodedProse:
    """A text as arrays (N,): hashes of words, marks behind them, and whether they have a capital (or CASE_UNKNOWN)."""

    hashes: np.ndarray
    marks: np.ndarray
    capitals: np.ndarray


def encode(words: Sequence[PunctuatedWord]) -> EncodedProse:
    """Return a text as arrays; of words that begin a sentence or are written in capitals the case is unknown."""
    capitals = [
        CASE_UNKNOWN if word.begins or (len(word.form) > 1 and word.form.isupper()) else word.form != word.word
        for word in words
    ]
    hashes = hash_words([word.word for word in words])
    return EncodedProse(hashes, np.array([word.mark for word in words], np.int8), np.array(capitals, np.int8))


def count_forms(forms: Counter[tuple[str, str]], words: Iterable[PunctuatedWord]) -> None:
    """Count the forms that words with a capital have within sentences."""
    forms.update((w.word, w.form) for w in words if not w.begins and w.form != w.word and not w.form[1:].isupper())


def choose_forms(counts: Counter[tuple[str, str]]) -> dict[str, str]:
    """Return the most frequent form of words that most often have another one than a capital first letter."""
    best: dict[str, tuple[int, str]] = {}
    for (word, form), count in counts.items():
        best[word] = max(best.get(word, (0, "")), (count, form))
    chosen = [
        (-count, word, form)
        for word, (count, form) in best.items()
        if form != word[:1].upper() + word[1:] and count >= MIN_FORM_COUNT
    ]
    return {word: form for _, word, form in sorted(chosen)[:MAX_FORMS]}


def train_punctuator(books: Sequence[EncodedProse], forms: Counter[tuple[str, str]], seed: int = 1) -> Punctuator:
    """Estimate a model without pauses.

    Args:
        books: the texts.
        forms: see `count_forms`.
        seed: of the order of the examples.

    Raises:
        InputError: there are no texts, or they have no full stops.
    """
    if not sum(int((book.marks >= STOP).sum()) for book in books):
        raise InputError("the texts have no sentences: is their punctuation left out?")
    marks = _fit(books, _gaps, MARK_BITS, 2, seed, "marks")
    questions = _fit(books, _sentences, QUESTION_BITS, 1, seed, "questions")
    capitals = _fit(books, _capitals, CAPITAL_BITS, 1, seed, "capitals")
    return Punctuator(marks, questions, capitals, choose_forms(forms))


# -- examples: rows of n-grams, where those of each example begin and end, and classes from 0

Examples = tuple[np.ndarray, np.ndarray, np.ndarray]


def _gaps(book: EncodedProse, bits: int) -> Examples:
    rows = ngram_rows(book.hashes, GAP, bits, 0)
    return rows.ravel(), np.arange(len(rows) + 1) * len(GAP), np.minimum(book.marks, STOP)


def _sentences(book: EncodedProse, bits: int) -> Examples:
    ends = np.flatnonzero(book.marks >= STOP)
    if not len(ends):
        return np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.int8)
    firsts = np.append(0, ends[:-1] + 1)
    rows, offsets = sentence_rows(book.hashes[: ends[-1] + 1], firsts, bits)
    return rows, offsets, (book.marks[ends] == QUESTION).astype(np.int8)


def _capitals(book: EncodedProse, bits: int) -> Examples:
    known = book.capitals != CASE_UNKNOWN
    rows = ngram_rows(book.hashes, CAPITAL, bits, 4)[known]
    return rows.ravel(), np.arange(len(rows) + 1) * len(CAPITAL), book.capitals[known]


def _fit(
    books: Sequence[EncodedProse],
    examples: Callable[[EncodedProse, int], Examples],
    bits: int,
    classes: int,
    seed: int,
    name: str,
) -> Table:
    random = np.random.default_rng(seed)
    weights, squares = np.zeros((2**bits + 1, classes), np.float32), np.ones((2**bits + 1, classes), np.float32)
    for epoch in range(EPOCHS):
        loss, count = 0.0, 0
        for index in random.permutation(len(books)):
            rows, offsets, labels = examples(books[index], bits)
            order = random.permutation(len(labels))
            loss += adagrad(rows, offsets, labels, order, weights, squares, RATE / np.sqrt(1 + epoch), DECAY)
            count += len(labels)
        log.info("%s, epoch %d: %.4f nats an example", name, epoch + 1, loss / max(1, count))
    return Table.quantize(weights[:-1], weights[-1])


@njit(cache=True)
def adagrad(
    rows: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    weights: np.ndarray,
    squares: np.ndarray,
    rate: float,
    decay: float,
) -> float:
    """Run AdaGrad (Duchi et al. 2011) once over examples of a softmax regression whose class 0 has the score 0.

    Args:
        rows: (R,) rows of the examples' features.
        offsets: (N + 1,) where those of each begin and end.
        labels: (N,) classes from 0 to C.
        order: (M,) the examples, in the order in which they are used.
        weights: (B + 1, C), changed in place; the last row is the bias.
        squares: (B + 1, C) sums of squared gradients, changed in place.
        rate: learning rate.
        decay: factor of the weights in the gradient.

    Returns:
        The sum of the losses, each before its example changed the weights.
    """
    classes, bias = weights.shape[1], weights.shape[0] - 1
    scores = np.empty(classes)
    loss = 0.0
    for n in order:
        begin, end = offsets[n], offsets[n + 1]
        for c in range(classes):
            score = weights[bias, c]
            for k in range(begin, end):
                score += weights[rows[k], c]
            scores[c] = score
        top = max(0.0, scores.max())
        own = scores[labels[n] - 1] if labels[n] > 0 else 0.0
        total = np.exp(-top)
        for c in range(classes):
            total += np.exp(scores[c] - top)
        loss += np.log(total) + top - own
        for c in range(classes):
            error = np.exp(scores[c] - top) / total - (1.0 if labels[n] == c + 1 else 0.0)
            if abs(error) < 1e-4:  # most examples of a frequent class
                continue
            for k in range(begin, end + 1):
                row = rows[k] if k < end else bias
                gradient = error + decay * weights[row, c]
                squares[row, c] += gradient * gradient
                weights[row, c] -= rate * gradient / np.sqrt(squares[row, c])
    return loss


def fit_pauses(punctuator: Punctuator, speech: Sequence[PunctuatedSpeech], steps: int = 300) -> Pauses:
    """Estimate what pauses say, and how much the text counts beside them, by softmax regression on speech.

    Args:
        punctuator: gives the scores of the text.
        speech: recognized words with their pauses, see `asr.evaluation.punctuation.project`.
        steps: of the optimization.

    Raises:
        InputError: the speech has no full stop or no comma between words.
    """
    texts, ranges, labels = [], [], []
    edges = np.array(PAUSE_EDGES, np.float32)
    for part in speech:
        assert part.pauses is not None
        texts.append(punctuator.mark_scores(hash_words([word.word for word in part.words]))[:-1])
        ranges.append(np.searchsorted(edges, Pauses.relative(np.asarray(part.pauses)), side="right"))
        labels.append([min(word.mark, STOP) for word in part.words[:-1]])
    text, label = np.concatenate(texts), np.concatenate(labels).astype(int)
    if not ((label == COMMA).any() and (label == STOP).any()):
        raise InputError("the speech has no commas or full stops between its words")
    one_hot = np.eye(len(edges) + 1)[np.concatenate(ranges)]  # (N, K + 1)
    target = np.eye(3)[label][:, 1:]
    scores, weights = np.zeros((len(edges) + 1, 2)), np.ones(2)
    for _ in range(steps):  # diagonal Newton steps, with a prior that draws rare ranges to 0 and weights to 1
        total = np.concatenate([np.zeros((len(text), 1)), text * weights + one_hot @ scores], axis=1)
        probs = np.exp(total - total.max(axis=1, keepdims=True))
        probs = (probs / probs.sum(axis=1, keepdims=True))[:, 1:]
        error, curve = probs - target, probs * (1 - probs)
        scores -= 0.3 * (one_hot.T @ error + 0.5 * scores) / (one_hot.T @ curve + 0.5)
        weights -= 0.3 * ((error * text).sum(0) + weights - 1) / ((curve * text**2).sum(0) + 1)
    return Pauses(edges, scores.astype(np.float32), weights.astype(np.float32))


class PunctuationFigures(NamedTuple):
    """What `train_punctuation` measured.

    Attributes:
        words: of the training text.
        bytes: size of the model.
        prose: scores on the held-out texts; None: there are none.
        speech: scores on the speech without and with its pauses, which were fitted on it; None: there is none.
    """

    words: int
    bytes: int
    prose: PunctuationScores | None
    speech: tuple[PunctuationScores, PunctuationScores] | None


def train_punctuation(
    texts: Sequence[str | Path],
    model: str | Path,
    *,
    speech: Sequence[str | Path] = (),
    held_out: Sequence[str | Path] = (),
    numbers: str | None = None,
    progress: Progress = no_progress,
) -> PunctuationFigures:
    """Train a model of punctuation and letter case, and store it in the directory of a recognizer.

    Args:
        texts: books with their punctuation, blank lines between paragraphs.
        model: directory of the recognizer, or its training run.
        speech: manifests of speech with punctuated transcripts, which the recognizer transcribes, so that its pauses
            are known; none: the present pauses of the model stay, or else those of the package's model.
        held_out: books on which the model is scored.
        numbers: a key of `asr.output.writing.NUMBERS`, see `asr.models.writing_files.set_writing`.
        progress: draws a progress bar, in seconds of audio.

    Raises:
        InputError: a file cannot be read, the model is no recognizer, or texts or speech have no punctuation.
    """
    directory = directory_module.find(model)
    recognizer = Recognizer.load(directory, plain=True) if speech else None
    former = read_writer(directory)
    if former is None or former.punctuator is None:
        former = read_writer(directory_module.find(pretrained.DEFAULT))
    forms: Counter[tuple[str, str]] = Counter()
    books = []
    for path in texts:
        words = [word for paragraph in read_prose(read_lines(path)) for word in paragraph]
        count_forms(forms, words)
        books.append(encode(words))
    punctuator = train_punctuator(books, forms)
    speech_scores = None
    if recognizer is not None:
        spoken = recognize(recognizer, speech, progress)
        before = score_punctuation(punctuator, [replace(part, pauses=None) for part in spoken])
        punctuator.pauses = fit_pauses(punctuator, spoken)
        speech_scores = before, score_punctuation(punctuator, spoken)
    elif former is not None and former.punctuator is not None:
        punctuator.pauses = former.punctuator.pauses
    prose = [[word for paragraph in read_prose(read_lines(path)) for word in paragraph] for path in held_out]
    prose_scores = score_punctuation(punctuator, map(PunctuatedSpeech, prose)) if prose else None
    set_writing(directory, punctuator, numbers)
    size = (directory / PUNCTUATION).stat().st_size
    return PunctuationFigures(sum(len(book.hashes) for book in books), size, prose_scores, speech_scores)


def recognize(
    recognizer: Recognizer, manifests: Sequence[str | Path], progress: Progress = no_progress
) -> list[PunctuatedSpeech]:
    """Transcribe the utterances of manifests, and put the punctuation of their texts to the recognized words.

    Utterances without text, or in which nothing is recognized, are left out.

    Raises:
        InputError: a manifest or recording cannot be read.
    """
    cuts = [cut for path in manifests for cut in manifest.read(path) if manifest.text(cut)]
    sources = [
        Recording(str(manifest.audio_path(cut)), strict=True, start=cut.start, duration=cut.duration) for cut in cuts
    ]
    speech = []
    with progress(sum(cut.duration for cut in cuts), "transcribing") as advance:
        for index, result in recognizer.transcribe_all(sources):
            if isinstance(result, InputError):
                raise result
            advance(cuts[index].duration)
            words = result.plain.words
            if words:
                reference = read_paragraph(manifest.text(cuts[index]))
                projected = project(reference, [word.text for word in words])
                speech.append(PunctuatedSpeech(projected, pauses_between(words)))
    return speech
