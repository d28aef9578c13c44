"""Calibration of confidences: of the words with confidence 0.8, eight in ten should be correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr.errors import InputError
from asr.metrics.error_rate import align

NEWTON_STEPS = 100
# Of the squared slope, in the log-likelihood: it keeps the fit finite where a threshold separates the two classes.
RIDGE = 1e-6
FACTOR_RIDGE = 0.01  # of the squares of the other factors: certainty varies little in clean speech
# Frames beside a word whose words count for its confidence. With 75 frames of 40 ms, instead of none, the words that
# the model of English finds in reversed speech have a mean confidence of 0.2 instead of 0.4, and the normalized cross
# entropy of its words on dev stays.
NEARBY = 75
# Words of speech that is not understood count as this part of the others. With 0.05, 0.1 and 0.15 those that the model
# of English finds in reversed speech have a mean confidence of 0.26, 0.21 and 0.17; the calibration error of words in
# noise at 10 dB, most of which are right, is 0.07, 0.09 and 0.10.
OTHERS_SHARE = 0.1
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


def collect_evidence(
    confidence: Sequence[float],
    certainty: Sequence[float] | None = None,
    spans: Sequence[tuple[int, int]] | None = None,
) -> np.ndarray:
    """Collect what a calibration judges tokens by.

    Args:
        confidence: probability of each token, from 0 to 1.
        certainty: of each token, from 0 to 1; None: not known.
        spans: frames (first, last + 1) of each token; needed where certainty is known.

    Returns:
        (tokens, 3) float64: log-odds of the confidence; natural logarithm of the certainty; mean of the log-odds of the
        tokens whose middle is within `NEARBY` frames. Without certainty (tokens, 1): the log-odds only.
    """
    odds = log_odds(confidence)
    if certainty is None:
        return odds[:, None]
    middle = np.asarray(spans, dtype=np.float64).reshape(-1, 2).mean(1)  # rises from token to token
    first, end = np.searchsorted(middle, middle - NEARBY), np.searchsorted(middle, middle + NEARBY, "right")
    sums = np.concatenate([[0.0], np.cumsum(odds)])
    nearby = (sums[end] - sums[first]) / np.maximum(end - first, 1)
    return np.stack([odds, log_certainty(certainty), nearby], axis=1)


def fit_calibration(
    evidence: np.ndarray, correct: Sequence[bool], others: np.ndarray | None = None
) -> tuple[float, ...]:
    """Fit the numbers of `calibrate` by maximum likelihood: logistic regression on the evidence.

    Newton's method with step halving, on the convex negative log-likelihood plus ``RIDGE / 2 * slope**2`` and
    ``FACTOR_RIDGE / 2 * factor**2`` for each further factor.

    Args:
        evidence: (tokens, K) of `collect_evidence`.
        correct: whether each token is correct.
        others: (M, K) evidence of tokens that are all wrong, of speech that is not understood. Together they count as
            `OTHERS_SHARE` of the tokens.

    Returns:
        Slope and offset, then the factors of further evidence, 0 or more: K + 1 numbers. (1, 0, 0, …) where all tokens
        are correct, or none.
    """
    count = evidence.shape[1]
    if len(set(correct)) < 2:
        return (1.0, *[0.0] * count)
    x = np.insert(evidence, 1, 1.0, axis=1)  # (tokens, K + 1)
    y = np.asarray(correct, dtype=np.float64)
    share = np.ones(len(y))
    if others is not None and len(others):
        x = np.concatenate([x, np.insert(others, 1, 1.0, axis=1)])
        share = np.concatenate([share, np.full(len(others), OTHERS_SHARE * len(y) / len(others))])
        y = np.concatenate([y, np.zeros(len(others))])
    ridge = np.array([RIDGE, 0.0, *[FACTOR_RIDGE] * (count - 1)])

    def loss(weights: np.ndarray) -> float:
        z = x @ weights
        return float((share * (np.logaddexp(0, z) - y * z)).sum() + (ridge * weights**2).sum() / 2)

    weights = np.zeros(count + 1)
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-(x @ weights)))
        gradient = x.T @ (share * (p - y)) + ridge * weights
        hessian = (x * (share * p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        # where all log-odds are equal the Hessian is singular but for the ridge
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        before = loss(weights)
        while loss(weights - step) > before and np.abs(step).max() > TOLERANCE:
            step /= 2
        weights -= step
        if np.abs(step).max() <= TOLERANCE:
            break
    worst = int(weights[2:].argmin()) if count > 1 else 0
    if count > 1 and weights[2 + worst] < 0:  # by chance: no evidence for a token makes it more likely to be wrong
        column = 1 + worst
        fit = fit_calibration(
            np.delete(evidence, column, 1), correct, None if others is None else np.delete(others, column, 1)
        )
        return (*fit[: 1 + column], 0.0, *fit[1 + column :])
    return tuple(weights.tolist())


def cross_validate(
    utterances: Sequence[tuple[np.ndarray, Sequence[bool]]], others: np.ndarray | None = None
) -> Calibration | None:
    """Measure calibrated confidences by two-fold cross-validation: each half is calibrated by the fit of the other.

    The halves are every other utterance. None without tokens.

    Args:
        utterances: evidence of the tokens of each, and which are correct.
        others: evidence of tokens that take part in the fits only, see `fit_calibration`.
    """
    confidence: list[float] = []
    correct: list[bool] = []
    for half in (0, 1):
        if not utterances[half::2]:
            continue
        evidence, own_correct = concatenate(utterances[half::2])
        other_half = utterances[1 - half :: 2]
        fit = fit_calibration(*concatenate(other_half), others) if other_half else (1.0, 0.0)
        confidence += calibrate(evidence, fit).tolist()
        correct += own_correct
    return measure_calibration(confidence, correct)


def concatenate(utterances: Sequence[tuple[np.ndarray, Sequence[bool]]]) -> tuple[np.ndarray, list[bool]]:
    """Concatenate the evidence of the tokens, and which are correct, of one or more utterances."""
    correct = [hit for _, own_correct in utterances for hit in own_correct]
    return np.concatenate([evidence for evidence, _ in utterances]), correct


def log_odds(confidence: Sequence[float]) -> np.ndarray:
    """Compute log(p / (1 - p)) of probabilities, clipped to 1e-6 … 1 - 1e-6; float64 of the same length."""
    p = np.clip(np.asarray(confidence, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def log_certainty(certainty: Sequence[float]) -> np.ndarray:
    """Compute the natural logarithm of certainties, of those below 0.001 that of 0.001."""
    return np.log(np.maximum(np.asarray(certainty, dtype=np.float64), 1e-3))


def calibrate(evidence: np.ndarray, calibration: Sequence[float]) -> np.ndarray:
    """Compute the confidences of tokens from their evidence (Platt 1999; Guo et al. 2017, section 4.1).

    Args:
        evidence: (tokens, K) of `collect_evidence`.
        calibration: slope, offset and further factors, of which those without evidence do not count.

    Returns:
        (tokens,) float64: the probabilities with the log-odds ``slope * evidence[:, 0] + offset + factor * …``.
    """
    slope, offset, *factors = calibration
    weights = [slope, *factors][: evidence.shape[1]]
    return 1 / (1 + np.exp(-(evidence[:, : len(weights)] @ np.array(weights) + offset)))
