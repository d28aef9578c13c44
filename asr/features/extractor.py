"""What all feature extractors share: checks, time derivatives, normalisation, padding, precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.features._blocks import Blocks, map_threads, on_blocks, single_threaded
from asr.features.cmvn import FITTED, FeatureNormalizer, Statistics, global_statistics
from asr.utils.masks import length_mask

Batch: TypeAlias = "tuple[Tensor, Tensor]"

# Savitzky-Golay filters over 9 frames: the slope of a fitted line and the curvature of a fitted parabola, as
# scipy.signal.savgol_coeffs(9, polyorder=d, deriv=d). Weights of x[t+k], k = 0…4, and the sign of x[t-k]'s.
REACH = 4
DERIVATIVES = (
    ([k / 60 for k in (0, 1, 2, 3, 4)], -1),
    ([k / 462 for k in (-20, -17, -8, 7, 28)], +1),
)


def per_utterance(inputs: Tensor) -> bool:
    """Whether the utterances of a batch are processed each by itself; see :class:`Extractor`."""
    return inputs.device.type == "cpu"


def matmul_safe(values: Tensor) -> Tensor:
    """``values`` (float32) in a precision in which matrix products are at least as exact as float32's.

    Those may silently be done in TF32 or bfloat16 (``torch.set_float32_matmul_precision``), which costs the
    features' last digits. Float64 is immune to that, and on a GPU it also hides the order of summation, which
    depends on the batch. The CPU needs it only where the precision was lowered; Apple's GPUs have none.
    """
    if values.device.type == "mps":
        return values
    mkldnn: Any = torch.backends.mkldnn
    exact = values.device.type == "cpu" and mkldnn.matmul.fp32_precision in ("none", "ieee")
    return values if exact else values.double()


class Extractor(nn.Module):
    """Base of all extractors: static features (given by the subclass) → Δ, ΔΔ → normalisation.

    ``forward(inputs, lengths)`` takes inputs padded to a batch and each utterance's own length in samples
    (frames for :class:`~asr.features.Precomputed`), on any device, and returns ``features`` (N, T, ``dim``)
    float32 and their lengths (N,) int64. Frames beyond an utterance's own length are exactly zero.

    A batch gives what its utterances give alone. On the CPU it does so bit for bit, by construction: each
    utterance is cut to its own length and processed by itself, in blocks of frames counted from its start, so
    that every operation sees the same shapes. That also skips the padding and bounds the memory of long
    input. Other devices process a batch as one piece, with sums and products in float64, so that values may
    differ only by float32's rounding of nearly equal numbers.

    Features are computed without gradient, in float32, whatever autocast or ``model.to(bfloat16)`` says.

    Attributes: ``dim`` (F), ``frame_seconds`` (from one frame to the next), ``sample_rate`` (Hz; None if the
    inputs are features).
    """

    sample_rate: int | None

    def __init__(
        self,
        num_static: int,
        frame_seconds: float,
        deltas: int,
        normalization: str,
        mean_fraction: float,
        scale: bool,
        level: int = 0,
    ) -> None:
        super().__init__()
        if deltas not in (0, 1, 2):
            raise InputError(f"deltas={deltas!r}: use 0 (none), 1 (Δ) or 2 (Δ and ΔΔ)")
        self.dim = num_static * (1 + deltas)
        self.frame_seconds = frame_seconds
        self.deltas = deltas
        self.normalization = FeatureNormalizer(self.dim, normalization, mean_fraction, scale, level)

    def static_features(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Features before derivatives (N, T, D), of any value beyond an utterance's own length."""
        raise NotImplementedError

    @property
    def random(self) -> bool:
        """Whether features are different each time."""
        return False

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Number of frames (N,) int64 that inputs of ``lengths`` (N,) give."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, lengths: Tensor, statistics: Sequence[Statistics | None] | None = None) -> Batch:
        """Features (N, T, dim) float32 of ``inputs`` and their lengths (N,); see the class.

        ``statistics`` (`recording_statistics`) tell of a row that is a part of a recording how the whole of it is
        normalised; None where a row is whole.

        Raises:
            InputError: wrong number of dimensions, a length that is not positive or exceeds the tensor, or a
                global normalisation without statistics.
        """
        self.normalization.require_fitted()
        return self._extract(inputs, lengths, statistics or [None] * len(inputs))

    def fit(self, batches: Iterable[Batch]) -> None:
        """Set the global mean and standard deviation from ``batches`` of (inputs, lengths), ignoring padding.

        Does nothing (and reads no batch) unless ``normalization`` is "global" or "both".
        """
        if self.normalization.mode in FITTED:
            self.normalization.fit(self._raw(batches))

    def recording_statistics(self, batches: Iterable[Batch]) -> Statistics | None:
        """What a recording that comes in pieces, each a batch of one, is normalised by.

        None (and nothing is read) unless ``normalization`` is "utterance" or "both". The few frames across two pieces
        are missed.
        """
        return global_statistics(self._raw(batches))[:2] if self.normalization.mode in ("utterance", "both") else None

    def _raw(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Features of batches before normalisation."""
        for inputs, lengths in batches:
            yield self._extract(inputs, lengths, None)

    @torch.no_grad()
    def _extract(self, inputs: Tensor, lengths: Tensor, statistics: Sequence[Statistics | None] | None) -> Batch:
        """Features, normalised by each row's own statistics or those given; not at all if ``statistics`` is None."""
        self._check(inputs, lengths)
        frames = self.output_lengths(lengths)
        features = inputs.new_empty(len(inputs), int(frames.max()), self.dim, dtype=torch.float32)

        def extract(pieces: Iterable[tuple[slice, Tensor, Tensor]]) -> None:
            for rows, its_inputs, its_lengths in pieces:
                its_frames = self.output_lengths(its_lengths)
                static = self.static_features(its_inputs, its_lengths)
                piece = features[rows, : static.shape[1]]
                append_deltas(static, its_frames, self.deltas, out=piece)
                features[rows, static.shape[1] :] = 0
                if len(piece) > 1:
                    piece.masked_fill_(~length_mask(its_frames, piece.shape[1])[:, :, None], 0)
                if statistics is not None:
                    self.normalization(piece, its_frames, statistics[rows])

        share = inputs.device.type == "cpu" and not self.random  # numbers are drawn in order
        with torch.autocast(inputs.device.type, enabled=False), single_threaded(share):
            map_threads(extract, list(self._pieces(inputs.float(), lengths)))
        return features, frames

    @staticmethod
    def _pieces(inputs: Tensor, lengths: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Parts of the batch that are processed together: (rows, inputs, lengths on the inputs' device)."""
        if not per_utterance(inputs):
            yield slice(None), inputs[:, : int(lengths.max())], lengths.to(inputs.device)
            return
        for row, length in enumerate(lengths.tolist()):
            yield slice(row, row + 1), inputs[row : row + 1, :length], torch.tensor([length])

    def _check(self, inputs: Tensor, lengths: Tensor) -> None:
        if lengths.shape != inputs.shape[:1] or lengths.is_floating_point() or not len(lengths):
            raise InputError(
                f"lengths: got {lengths.dtype} of shape {tuple(lengths.shape)} for inputs of shape "
                f"{tuple(inputs.shape)}; one integer per utterance is needed"
            )
        for row, length in enumerate(lengths.tolist()):
            if not 1 <= length <= inputs.shape[1]:
                raise InputError(f"utterance {row} has length {length}; 1 to {inputs.shape[1]} is possible here")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Extractor:
        # A model that is moved to half precision keeps its features, and their statistics, in float32.
        return super()._apply(lambda tensor: tensor.to(fn(tensor.new_empty(0)).device), recurse)


def append_deltas(static: Tensor, lengths: Tensor, order: int, out: Tensor) -> None:
    """Write ``static`` (N, T, D) and its first ``order`` derivatives into ``out`` (N, T, D * (1 + order)).

    Equal to ``librosa.feature.delta(width=9, order=…, mode="nearest")`` on every utterance alone: the first
    and the last frame of its own ``lengths`` (N,) are repeated beyond its ends.
    """
    n, total, dim = static.shape
    out[:, :, :dim] = static
    if not order:
        return
    starts = torch.arange(n, device=static.device)[:, None] * total
    last = lengths[:, None] - 1

    def derive(blocks: Blocks) -> None:
        for begin, end in blocks:
            times = torch.arange(begin - REACH, end + REACH, device=static.device).clamp(min=0)
            rows = (starts + torch.minimum(times, last)).flatten()
            context = static.flatten(0, 1).index_select(0, rows).view(n, -1, dim)
            for d, (weights, sign) in enumerate(DERIVATIVES[:order], start=1):
                out[:, begin:end, d * dim : (d + 1) * dim] = _derivative(context, weights, sign)

    on_blocks(derive, static)


def _derivative(context: Tensor, weights: list[float], sign: int) -> Tensor:
    """Filter ``context`` (N, REACH + T + REACH, D) over time to (N, T, D)."""
    size = context.shape[1] - 2 * REACH
    result = context[:, REACH : REACH + size] * weights[0]
    for k in range(1, REACH + 1):
        before = context[:, REACH - k : REACH - k + size]
        after = context[:, REACH + k : REACH + k + size]
        result.add_(torch.add(after, before, alpha=sign), alpha=weights[k])
    return result
