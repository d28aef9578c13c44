"""Whether confidences are what they claim to be: of words said to be right with 0.8, eight in ten should be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from asr.errors import InputError
from asr.metrics.error_rate import align


@dataclass(frozen=True)
class Calibration:
    """Of so many ``tokens``: the mean confidence, the share that was ``right``, the expected calibration ``error``."""

    tokens: int
    confidence: float
    right: float
    error: float


def calibration(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> Calibration | None:
    """Expected calibration error over equally wide bins of confidence (Guo et al. 2017, arXiv 1706.04599, equation 5).

    That is the mean distance between the confidence and the share of right tokens of a bin, weighted by its tokens.
    None without tokens; InputError for a confidence that is not from 0 to 1.
    """
    given, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if given.shape != hits.shape or given.ndim != 1:
        raise InputError(f"{given.shape} confidences and {hits.shape} answers: not one each")
    if not given.size:
        return None
    if not ((given >= 0) & (given <= 1 + 1e-6)).all():
        raise InputError("confidences are numbers from 0 to 1")
    place = np.minimum((given * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=given - hits, minlength=bins)
    return Calibration(given.size, float(given.mean()), float(hits.mean()), float(np.abs(gaps).sum() / given.size))


def hits(reference: Sequence[str], hypothesis: Sequence[str]) -> list[bool]:
    """Which tokens of a hypothesis are right."""
    return [step == "hit" for step, _, token in align(reference, hypothesis) if token is not None]


def joined(answers: Iterable[tuple[Sequence[float], Sequence[bool]]]) -> tuple[list[float], list[bool]]:
    """The answers of several utterances as those of one."""
    confidence: list[float] = []
    right: list[bool] = []
    for own, hit in answers:
        confidence += own
        right += hit
    return confidence, right


def fit(confidence: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Slope and offset of `calibrated` that make the answers likeliest; 1 and 0 where all are alike."""
    if len(set(right)) < 2:
        return 1.0, 0.0
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression(C=1e6).fit(log_odds(confidence)[:, None], right)
    return float(line.coef_[0, 0]), float(line.intercept_[0])


def held_out(answers: Sequence[tuple[Sequence[float], Sequence[bool]]]) -> Calibration | None:
    """What `fit` is good for: every other utterance calibrated by what fits the others, and they by these."""
    halves = [joined(answers[half::2]) for half in (0, 1)]
    made = [(calibrated(halves[half][0], *fit(*halves[1 - half])), halves[half][1]) for half in (0, 1)]
    return calibration(*joined((found.tolist(), right) for found, right in made))


def log_odds(confidence: Sequence[float]) -> np.ndarray:
    """log(p / (1 - p)) of probabilities, with 0 and 1 taken for the nearest that have one."""
    p = np.clip(np.asarray(confidence, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def calibrated(confidence: Sequence[float], slope: float, offset: float) -> np.ndarray:
    """Confidences whose log-odds are a line of those given (Platt 1999; Guo et al. 2017, section 4.1)."""
    return 1 / (1 + np.exp(-(slope * log_odds(confidence) + offset)))
