"""The bootstrap: confidence intervals of error rates, and of the difference between two systems."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from asr.metrics.error_rate import ErrorCounts

RESAMPLES = 2000
LEVEL = 0.95
_DRAWS = 2**17  # random numbers at a time, which stay in the processor's cache
_MANY = 1000  # degrees of freedom from which on Student's distribution is taken for the normal one
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Difference:
    """The difference of two systems' error rates on the same utterances, B minus A.

    Attributes:
        value: as a fraction; below 0 where B is better.
        interval: its confidence interval.
        p: two-sided p-value of the hypothesis that the two are equally good.
        blocks: number of utterances or speakers that were resampled.
    """

    value: float
    interval: tuple[float, float]
    p: float
    blocks: int


def bootstrap_interval(
    counts: Sequence[ErrorCounts],
    blocks: Sequence[Hashable] | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Compute the bootstrap interval of an error rate (Bisani & Ney 2004; by speaker: Liu et al. 2020, 1912.09508).

    Utterances, or whole blocks of them, are drawn with replacement. It is the percentile interval, expanded by
    `tail_share`. It takes no account of the variance between training runs.

    Args:
        counts: of each utterance.
        blocks: the block of each utterance, such as its speaker; None: each utterance is drawn by itself.
        level: of confidence, between 0 and 1.
        resamples: number of bootstrap samples.
        seed: of the sampling.

    Returns:
        Lower and upper bound; (NaN, NaN) where the samples say nothing: without a reference token, of a single
        utterance or block, and where all of them have the same rate, such as no errors.

    Raises:
        ValueError: ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    sums = _block_sums([(c.errors, c.reference) for c in counts], blocks)
    samples = _resample(sums, resamples, seed)
    return _interval(_ratios(samples[:, 0], samples[:, 1]), len(sums), level)


def bootstrap_difference(
    first: Sequence[ErrorCounts],
    second: Sequence[ErrorCounts],
    blocks: Sequence[Hashable] | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare the error rates of two systems by the paired bootstrap: both are measured on each sample.

    Args:
        first: counts of each utterance by system A.
        second: those by system B, of the same utterances in the same order.
        blocks: see `bootstrap_interval`.
        level: of the interval.
        resamples: number of bootstrap samples.
        seed: of the sampling.

    Returns:
        The difference. Its p-value is 1 minus the level of the interval that begins or ends at 0.
    """
    rows = [(b.errors - a.errors, a.reference) for a, b in zip(first, second, strict=True)]
    sums = _block_sums(rows, blocks)
    samples = _resample(sums, resamples, seed)
    values = _ratios(samples[:, 0], samples[:, 1])
    total, reference = sums.sum(axis=0).tolist()
    value = total / reference if reference else math.nan
    return Difference(value, _interval(values, len(sums), level), _p_value(values, len(sums)), len(sums))


def known_speakers(speakers: Iterable[str]) -> list[str] | None:
    """Return the speakers of utterances if all of them are known and there are several, or else None."""
    listed = list(speakers)
    return listed if all(listed) and len(set(listed)) > 1 else None


def with_interval(rate: float, interval: Sequence[float | None]) -> str:
    """Format a rate and its confidence interval in percent: ``24.51 [23.08, 26.02]``; without one that is not known."""
    low, high = interval or (None, None)
    if low is None or high is None or math.isnan(low):
        return percent(rate)
    return f"{percent(rate)} [{percent(low)}, {percent(high)}]"


def json_interval(interval: tuple[float, float]) -> list[float | None]:
    """Return an interval as a JSON value: None for NaN."""
    return [None if math.isnan(bound) else bound for bound in interval]


def with_legend(text: str, drawn: Collection[str]) -> str:
    """Return a text with a line that says how its intervals were made, if it has any.

    Args:
        text: with the intervals of `with_interval`.
        drawn: what their samples consist of: "speakers", "utterances", "sequences", or several of these.
    """
    names = " or else ".join("whole speakers" if name == "speakers" else name for name in sorted(set(drawn)))
    legend = f"\n[…]: 95 % confidence interval; bootstrap, {RESAMPLES} samples of {names}"
    return text + legend if " [" in text else text


def percent(rate: float) -> str:
    """Format a rate in percent, with two decimals; a dash for NaN."""
    return "–" if math.isnan(rate) else f"{100 * rate:.2f}"


def tail_share(level: float, blocks: int) -> float:
    """Return the share of the bootstrap samples beyond each end of an interval.

    Of few blocks the percentile interval is too narrow. The expanded one (Hesterberg 2015, "What teachers should know
    about the bootstrap", The American Statistician 69:371) is as wide as Student's interval of a mean: 2.5 % of the
    samples are beyond each end for many blocks, 0.9 % for 10, and almost none for 3. Of fewer than 6 blocks even the
    whole range of the samples covers less than 95 %.

    Args:
        level: of confidence, between 0 and 1.
        blocks: number of blocks, at least 2.
    """
    low, high = 0.0, 1e9
    for _ in range(64):  # bisection of Student's quantile
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, blocks - 1) > (1 - level) / 2 else (low, middle)
    return _NORMAL.cdf(-high * math.sqrt(blocks / (blocks - 1)))


def student_tail(t: float, freedom: int) -> float:
    """Return the probability that Student's t with ``freedom`` degrees exceeds ``t`` (Abramowitz & Stegun 26.7.3-4)."""
    if freedom > _MANY:
        return _NORMAL.cdf(-t)
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = cosine if odd else 1.0, 0.0
    for k in range(2 + odd, freedom + 1, 2):  # the powers of the cosine below that of ``freedom``
        total += term
        term *= cosine**2 * (k - 1) / k
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return (1 - inside) / 2


def _block_sums(rows: Sequence[tuple[int, int]], blocks: Sequence[Hashable] | None) -> np.ndarray:
    """Return the sums (B, 2) of the rows of each block, in the order of their first rows."""
    values = np.array(rows, dtype=np.int64).reshape(-1, 2)
    if blocks is None:
        return values
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(block, len(numbers)) for block in blocks]
    sums = np.zeros((len(numbers), 2), dtype=np.int64)
    np.add.at(sums, index, values)
    return sums


def _resample(sums: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Return the sums (R, K) of samples of as many blocks, drawn with replacement from the sums (B, K) of each."""
    count, columns = sums.shape
    random = np.random.default_rng(seed)
    samples = np.zeros((resamples, columns), dtype=np.int64)
    step = max(1, _DRAWS // max(count, 1))
    for begin in range(0, resamples if count else 0, step):
        drawn = random.integers(count, size=(min(step, resamples - begin), count))
        for column in range(columns):
            samples[begin : begin + step, column] = sums[:, column].take(drawn).sum(axis=1)
    return samples


def _ratios(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Return the ratios of the samples whose denominator is not 0."""
    measured = denominators > 0
    return numerators[measured] / denominators[measured]


def _interval(values: np.ndarray, blocks: int, level: float) -> tuple[float, float]:
    if blocks < 2 or not values.size:
        return math.nan, math.nan
    tail = tail_share(level, blocks)
    low, high = np.quantile(values, [tail, 1 - tail])
    return (float(low), float(high)) if low < high else (math.nan, math.nan)


def _p_value(differences: np.ndarray, blocks: int) -> float:
    """Return twice the share of the samples on the other side of 0, at Student's probability as in `tail_share`."""
    if blocks < 2 or not differences.size:
        return math.nan
    fewer = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    tail = (fewer + 1) / (len(differences) + 1)  # never 0, which no finite number of samples can show
    if tail >= 0.5:
        return 1.0
    t = -_NORMAL.inv_cdf(tail) * math.sqrt((blocks - 1) / blocks)
    return 2 * student_tail(t, blocks - 1)
