"""Calibration of confidences: of the words with confidence 0.8, eight in ten should be correct."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from asr.errors import InputError
from asr.metrics.error_rate import align

NEWTON_STEPS = 100
# Of the squared slope, in the log-likelihood: it keeps the fit finite where a threshold separates the two classes.
RIDGE = 1e-6
FACTOR_RIDGE = 0.01  # of the squared factor of the certainty, which varies little in clean speech
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


def fit_calibration(
    confidence: Sequence[float], correct: Sequence[bool], certainty: Sequence[float] | None = None
) -> tuple[float, ...]:
    """Fit the numbers of `calibrate` by maximum likelihood: logistic regression on log-odds and log-certainties.

    Newton's method with step halving, on the convex negative log-likelihood plus ``RIDGE / 2 * slope**2`` and
    ``FACTOR_RIDGE / 2 * factor**2``.

    Args:
        confidence: probability of each token, from 0 to 1.
        correct: whether each token is correct.
        certainty: of each token, from 0 to 1; None: not known.

    Returns:
        Slope and offset, and with ``certainty`` the factor of its logarithm, 0 or more. (1, 0) or (1, 0, 0) where all
        tokens are correct, or none.
    """
    columns = [log_odds(confidence), np.ones(len(confidence))]
    if certainty is not None:
        columns.append(log_certainty(certainty))
    if len(set(correct)) < 2:
        return (1.0, 0.0, 0.0)[: len(columns)]
    x = np.stack(columns, axis=1)  # (tokens, 2 or 3)
    y = np.asarray(correct, dtype=np.float64)
    ridge = np.array([RIDGE, 0.0, FACTOR_RIDGE][: len(columns)])

    def loss(weights: np.ndarray) -> float:
        z = x @ weights
        return float((np.logaddexp(0, z) - y * z).sum() + (ridge * weights**2).sum() / 2)

    weights = np.zeros(len(columns))
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
    if len(weights) == 3 and weights[2] < 0:  # by chance: no certainty makes a token more likely to be wrong
        return (*fit_calibration(confidence, correct), 0.0)
    return tuple(weights.tolist())


def cross_validate(
    utterances: Sequence[tuple[Sequence[float], Sequence[bool]]], certainties: Sequence[Sequence[float]] | None = None
) -> Calibration | None:
    """Measure calibrated confidences by two-fold cross-validation: each half is calibrated by the fit of the other.

    The halves are every other utterance. None without tokens.

    Args:
        utterances: confidences of each, and which tokens are correct.
        certainties: of the tokens of each; None: not known.
    """
    halves = [concatenate(utterances[half::2]) for half in (0, 1)]
    certainty = [None if certainties is None else list(chain.from_iterable(certainties[half::2])) for half in (0, 1)]
    calibrated = []
    for half, (confidence, correct) in enumerate(halves):
        fit = fit_calibration(*halves[1 - half], certainty[1 - half])
        calibrated.append((calibrate(confidence, *fit, certainty=certainty[half]).tolist(), correct))
    return measure_calibration(*concatenate(calibrated))


def log_odds(confidence: Sequence[float]) -> np.ndarray:
    """Compute log(p / (1 - p)) of probabilities, clipped to 1e-6 … 1 - 1e-6; float64 of the same length."""
    p = np.clip(np.asarray(confidence, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def log_certainty(certainty: Sequence[float]) -> np.ndarray:
    """Compute the natural logarithm of certainties, of those below 0.001 that of 0.001."""
    return np.log(np.maximum(np.asarray(certainty, dtype=np.float64), 1e-3))


def calibrate(
    confidence: Sequence[float],
    slope: float,
    offset: float,
    factor: float = 0.0,
    *,
    certainty: Sequence[float] | None = None,
) -> np.ndarray:
    """Return confidences with log-odds ``slope * log_odds + offset`` (Platt 1999; Guo et al. 2017, section 4.1).

    With the ``certainty`` of each token these are ``factor * log(certainty)`` higher.
    """
    odds = slope * log_odds(confidence) + offset
    if certainty is not None:
        odds = odds + factor * log_certainty(certainty)
    return 1 / (1 + np.exp(-odds))
