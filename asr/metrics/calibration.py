"""Calibration of confidences: of the words with confidence 0.8, eight in ten should be correct."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from asr.errors import InputError
from asr.metrics.error_rate import align

NEWTON_STEPS = 100
# Of the squared slope, in the log-likelihood: it keeps the fit finite where a threshold separates the two classes.
RIDGE = 1e-6
TOLERANCE = 1e-10  # a Newton step that is smaller ends the fit


@dataclass(frozen=True)
class Calibration:
    """How well confidences predict which tokens are correct.

    Attributes:
        tokens: number of tokens.
        confidence: their mean confidence.
        accuracy: share of correct tokens.
        error: expected calibration error.
    """

    tokens: int
    confidence: float
    accuracy: float
    error: float


def measure_calibration(confidence: Sequence[float], correct: Sequence[bool], bins: int = 10) -> Calibration | None:
    """Compute the expected calibration error (Guo et al. 2017, arXiv 1706.04599, equation 5).

    It is the mean distance between the confidence and the accuracy of a bin, weighted by the bin's tokens.

    Args:
        confidence: probability of each token, from 0 to 1.
        correct: whether each token is correct.
        bins: number of equally wide bins of confidence.

    Returns:
        None without tokens.

    Raises:
        InputError: a confidence outside 0 to 1, or another number of confidences than of tokens.
    """
    p, hit = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if p.shape != hit.shape or p.ndim != 1:
        raise InputError(f"expected one confidence for each token, not {p.shape} confidences for {hit.shape} tokens")
    if not p.size:
        return None
    if not ((p >= 0) & (p <= 1 + 1e-6)).all():
        raise InputError("confidences must be numbers from 0 to 1")
    bin_of = np.minimum((p * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, weights=p - hit, minlength=bins)
    return Calibration(p.size, float(p.mean()), float(hit.mean()), float(np.abs(gaps).sum() / p.size))


def correct_tokens(reference: Sequence[str], hypothesis: Sequence[str]) -> list[bool]:
    """Return for each token of a hypothesis whether it is correct."""
    return [operation == "hit" for operation, _, token in align(reference, hypothesis) if token is not None]


def concatenate(utterances: Iterable[tuple[Sequence[float], Sequence[bool]]]) -> tuple[list[float], list[bool]]:
    """Concatenate the confidences, and which tokens are correct, of several utterances."""
    confidence: list[float] = []
    correct: list[bool] = []
    for own_confidence, own_correct in utterances:
        confidence += own_confidence
        correct += own_correct
    return confidence, correct


def fit_calibration(confidence: Sequence[float], correct: Sequence[bool]) -> tuple[float, float]:
    """Fit the slope and offset of `calibrate` by maximum likelihood: logistic regression on the log-odds.

    Newton's method with step halving, on the convex negative log-likelihood plus ``RIDGE / 2 * slope**2``.

    Returns:
        (1, 0) where all tokens are correct, or none.
    """
    if len(set(correct)) < 2:
        return 1.0, 0.0
    x = np.stack([log_odds(confidence), np.ones(len(confidence))], axis=1)  # (tokens, 2)
    y = np.asarray(correct, dtype=np.float64)
    ridge = np.array([RIDGE, 0.0])

    def loss(weights: np.ndarray) -> float:
        z = x @ weights
        return float((np.logaddexp(0, z) - y * z).sum() + (ridge * weights**2).sum() / 2)

    weights = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-(x @ weights)))
        gradient = x.T @ (p - y) + ridge * weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        # where all log-odds are equal the Hessian is singular but for the ridge
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        before = loss(weights)
        while loss(weights - step) > before and np.abs(step).max() > TOLERANCE:
            step /= 2
        weights -= step
        if np.abs(step).max() <= TOLERANCE:
            break
    return float(weights[0]), float(weights[1])


def cross_validate(utterances: Sequence[tuple[Sequence[float], Sequence[bool]]]) -> Calibration | None:
    """Measure calibrated confidences by two-fold cross-validation: each half is calibrated by the fit of the other.

    The halves are every other utterance. None without tokens.
    """
    halves = [concatenate(utterances[half::2]) for half in (0, 1)]
    calibrated = [(calibrate(halves[half][0], *fit_calibration(*halves[1 - half])), halves[half][1]) for half in (0, 1)]
    return measure_calibration(*concatenate((confidence.tolist(), correct) for confidence, correct in calibrated))


def log_odds(confidence: Sequence[float]) -> np.ndarray:
    """Compute log(p / (1 - p)) of probabilities, clipped to 1e-6 … 1 - 1e-6; float64 of the same length."""
    p = np.clip(np.asarray(confidence, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def calibrate(confidence: Sequence[float], slope: float, offset: float) -> np.ndarray:
    """Return confidences with log-odds ``slope * log_odds + offset`` (Platt 1999; Guo et al. 2017, section 4.1)."""
    return 1 / (1 + np.exp(-(slope * log_odds(confidence) + offset)))
