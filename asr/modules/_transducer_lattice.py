"""Forward-backward algorithm on the lattice of a transducer, compiled by Numba.

Node (t, u): u labels have been emitted and frame t is being read. From there blank leads to (t + 1, u), and label u to
(t, u + 1). A path begins at (0, 0) and ends with the blank of (T - 1, U) (Graves 2012, arXiv 1211.3711, figure 1). In
the form of the paper, with probabilities in place of logarithms::

    alpha[t, u] = alpha[t - 1, u] blank[t - 1, u] + alpha[t, u - 1] emit[t, u - 1]       # equation 16
    beta[t, u] = beta[t + 1, u] blank[t, u] + beta[t, u + 1] emit[t, u]                  # equation 18
    total = alpha[T - 1, U] blank[T - 1, U]                                              # equation 17
    share of the paths that take an arc = alpha[its begin] (its probability) beta[its end] / total   # equation 20
"""

from __future__ import annotations

import numpy as np

from asr.utils.numba_cache import njit
from asr.utils.numba_options import INLINE_KERNEL, KERNEL

NEGLIGIBLE = 40.0  # nats: a sum in double precision does not see a term so far below another one


@njit(**INLINE_KERNEL)
def _log_add(a: float, b: float) -> float:
    """Return the logarithm of exp(a) + exp(b)."""
    high, low = max(a, b), min(a, b)
    if not high - low < NEGLIGIBLE:  # also where both are -inf
        return high
    return high + np.log1p(np.exp(low - high))


@njit(**KERNEL)
def forward(blank: np.ndarray, emit: np.ndarray, alpha: np.ndarray) -> None:
    """Write the forward variables.

    Args:
        blank: (T, U + 1) natural logs of the blanks.
        emit: (T, U) natural logs of the labels.
        alpha: (T, U + 1) float64, written here.
    """
    frames, nodes = alpha.shape
    alpha[0, 0] = 0.0
    for u in range(1, nodes):
        alpha[0, u] = alpha[0, u - 1] + emit[0, u - 1]
    for t in range(1, frames):
        alpha[t, 0] = alpha[t - 1, 0] + blank[t - 1, 0]
        for u in range(1, nodes):
            alpha[t, u] = _log_add(alpha[t - 1, u] + blank[t - 1, u], alpha[t, u - 1] + emit[t, u - 1])


@njit(**KERNEL)
def backward(blank: np.ndarray, emit: np.ndarray, beta: np.ndarray) -> None:
    """Write the backward variables (T, U + 1), the score of a node's own arcs included; arguments as in `forward`."""
    frames, nodes = beta.shape
    last = frames - 1
    beta[last, nodes - 1] = blank[last, nodes - 1]
    for u in range(nodes - 2, -1, -1):
        beta[last, u] = beta[last, u + 1] + emit[last, u]
    for t in range(last - 1, -1, -1):
        beta[t, nodes - 1] = beta[t + 1, nodes - 1] + blank[t, nodes - 1]
        for u in range(nodes - 2, -1, -1):
            beta[t, u] = _log_add(beta[t + 1, u] + blank[t, u], beta[t, u + 1] + emit[t, u])


@njit(**KERNEL)
def shares(
    blank: np.ndarray,
    emit: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    of_blank: np.ndarray,
    of_emit: np.ndarray,
) -> None:
    """Write the share of the paths that take each arc, which is the derivative of the total by the arc's score.

    Args:
        blank: as in `forward`.
        emit: as in `forward`.
        alpha: see `forward`.
        beta: see `backward`.
        of_blank: (T, U + 1), written here.
        of_emit: (T, U), written here.
    """
    frames, nodes = alpha.shape
    total = beta[0, 0]
    if total == -np.inf:  # no path has a probability above zero
        of_blank[:], of_emit[:] = 0, 0
        return
    for t in range(frames):
        for u in range(nodes):
            score = alpha[t, u] + blank[t, u] - total
            if t + 1 < frames:
                score += beta[t + 1, u]
            elif u + 1 < nodes:
                score = -np.inf
            of_blank[t, u] = np.exp(score)
            if u + 1 < nodes:
                of_emit[t, u] = np.exp(alpha[t, u] + emit[t, u] + beta[t, u + 1] - total)
