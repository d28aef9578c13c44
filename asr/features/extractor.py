"""What all feature extractors share: checks, time derivatives, normalization, padding, precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.features._blocks import Blocks, map_blocks, map_threads, single_threaded
from asr.features.cmvn import FITTED, Active, FeatureNormalizer
from asr.utils.masks import length_mask

MAX_WINDOW = 1 << 16  # samples; filters over the Fourier transform of longer windows would fill the memory
PaddedBatch: TypeAlias = "tuple[Tensor, Tensor]"  # inputs or features, and lengths (N,)

# Savitzky-Golay filters over 9 frames: the slope of a fitted line and the curvature of a fitted parabola, as
# scipy.signal.savgol_coeffs(9, polyorder=d, deriv=d). Weights of x[t+k], k = 0…4, and the sign of x[t-k]'s.
REACH = 4
DERIVATIVES = (
    ([k / 60 for k in (0, 1, 2, 3, 4)], -1),
    ([k / 462 for k in (-20, -17, -8, 7, 28)], +1),
)


def per_utterance(inputs: Tensor) -> bool:
    """Return whether the utterances of a batch are processed each by itself; see :class:`Extractor`."""
    return inputs.device.type == "cpu"


def matmul_safe(values: Tensor) -> Tensor:
    """Return ``values`` (float32) in a precision in which matrix products are at least as exact as float32's.

    Products of float32 may silently be computed in TF32 or bfloat16 (``torch.set_float32_matmul_precision``), which
    costs the features' last digits. Float64 is immune to that, and on a GPU it also hides the order of summation,
    which depends on the batch. The CPU needs it only where the precision was lowered; Apple's GPUs have none.
    """
    if values.device.type == "mps":
        return values
    mkldnn: Any = torch.backends.mkldnn
    exact = values.device.type == "cpu" and mkldnn.matmul.fp32_precision in ("none", "ieee")
    return values if exact else values.double()


class Extractor(nn.Module):
    """Base of all extractors: static features (by the subclass), Δ and ΔΔ, normalization.

    ``forward(inputs, lengths)`` takes inputs padded to a batch and each utterance's own length in samples
    (frames for :class:`~asr.features.Precomputed`), on any device, and returns ``features`` (N, T, ``dim``)
    float32 and their lengths (N,) int64. Frames beyond an utterance's own length are exactly zero.

    A batch gives what its utterances give alone. On the CPU it does so bit for bit, by construction: each
    utterance is cut to its own length and processed by itself, in blocks of frames counted from its start, so
    that every operation sees the same shapes. That also skips the padding and bounds the memory of long
    input. Other devices process a batch as one piece, with sums and products in float64, so that values may
    differ only by float32's rounding of nearly equal numbers.

    Features are computed without gradient, in float32, whatever autocast or ``model.to(bfloat16)`` says.

    Args:
        num_static: features per frame before derivatives.
        frame_seconds: from one frame to the next, in seconds.
        deltas: number of time derivatives to append, 0 to 2.
        normalization: mode of :class:`~asr.features.FeatureNormalizer`.
        mean_fraction: see there.
        scale: see there.
        level: see there.
        active: see there.
        floor: see there.
        num_bands: see there.

    Attributes:
        dim: features per frame, derivatives included (F).
        frame_seconds: from one frame to the next, in seconds.
        sample_rate: of the waveforms, in Hz; None if the inputs are features.

    Raises:
        InputError: there are no features, ``deltas`` is none of 0, 1 and 2, or an option of the normalization is wrong.
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
        active: Active = None,
        floor: float | None = None,
        num_bands: int = 0,
    ) -> None:
        super().__init__()
        if num_static < 1:
            raise InputError(f"{num_static} features a frame: at least one is needed")
        if deltas not in (0, 1, 2):
            raise InputError(f"deltas={deltas!r}: use 0 (none), 1 (Δ) or 2 (Δ and ΔΔ)")
        self.dim = num_static * (1 + deltas)
        self.frame_seconds = frame_seconds
        self.deltas = deltas
        self.normalization = FeatureNormalizer(
            self.dim, normalization, mean_fraction, scale, level, active=active, floor=floor, num_bands=num_bands
        )

    def static_features(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return features before derivatives (N, T, D) float32, of any value beyond an utterance's own length."""
        raise NotImplementedError

    @property
    def random(self) -> bool:
        """Whether features are different each time."""
        return False

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of frames (N,) int64, at least 1, of inputs of ``lengths`` (N,)."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, lengths: Tensor) -> PaddedBatch:
        """Compute features; see the class.

        Args:
            inputs: waveforms ``(N, S)``, or features ``(N, T, D)``, padded with any values.
            lengths: of each utterance, integers ``(N,)``.

        Returns:
            Features ``(N, T, dim)`` float32 and their lengths ``(N,)`` int64.

        Raises:
            InputError: wrong number of dimensions, a length that is not positive or exceeds the tensor, or a
                global normalization without statistics.
        """
        self.normalization.require_fitted()
        return self._extract(inputs, lengths)

    def fit(self, batches: Iterable[PaddedBatch]) -> None:
        """Set the global mean and standard deviation from ``batches`` of (inputs, lengths), ignoring padding.

        Does nothing (and reads no batch) unless ``normalization`` is "global" or "both".

        Raises:
            InputError: there are no frames, or a batch is wrong as in :meth:`forward`.
        """
        if self.normalization.mode in FITTED:
            self.normalization.fit(self._unnormalized(batches))

    def _unnormalized(self, batches: Iterable[PaddedBatch]) -> Iterator[PaddedBatch]:
        """Yield features of batches before normalization."""
        for inputs, lengths in batches:
            yield self._extract(inputs, lengths, normalize=False)

    @torch.no_grad()
    def _extract(self, inputs: Tensor, lengths: Tensor, *, normalize: bool = True) -> PaddedBatch:
        """Compute features, and normalize them."""
        self._check(inputs, lengths)
        frames = self.output_lengths(lengths)
        features = inputs.new_empty(len(inputs), int(frames.max()), self.dim, dtype=torch.float32)

        def extract(pieces: Iterable[tuple[slice, Tensor, Tensor]]) -> None:
            for rows, piece_inputs, piece_lengths in pieces:
                piece_frames = self.output_lengths(piece_lengths)
                static = self.static_features(piece_inputs, piece_lengths)
                piece = features[rows, : static.shape[1]]
                append_deltas(static, piece_frames, self.deltas, out=piece)
                features[rows, static.shape[1] :] = 0
                if len(piece) > 1:
                    piece.masked_fill_(~length_mask(piece_frames, piece.shape[1])[:, :, None], 0)
                if normalize:
                    self.normalization(piece, piece_frames)

        share = inputs.device.type == "cpu" and not self.random  # random numbers are drawn in order
        with torch.autocast(inputs.device.type, enabled=False), single_threaded(share):
            map_threads(extract, list(self._pieces(inputs.float(), lengths)))
        return features, frames

    @staticmethod
    def _pieces(inputs: Tensor, lengths: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield parts of the batch that are processed together: (rows, inputs, lengths on the inputs' device)."""
        if not per_utterance(inputs):
            yield slice(None), inputs[:, : int(lengths.max())], lengths.to(inputs.device)
            return
        for row, length in enumerate(lengths.tolist()):
            yield slice(row, row + 1), inputs[row : row + 1, :length], torch.tensor([length])

    def _check(self, inputs: Tensor, lengths: Tensor) -> None:
        """Raise InputError unless inputs and lengths make a batch."""
        if lengths.shape != inputs.shape[:1] or lengths.is_floating_point() or not len(lengths):
            raise InputError(
                f"lengths: got {lengths.dtype} of shape {tuple(lengths.shape)} for inputs of shape "
                f"{tuple(inputs.shape)}; one integer per utterance is expected"
            )
        for row, length in enumerate(lengths.tolist()):
            if not 1 <= length <= inputs.shape[1]:
                raise InputError(f"utterance {row} has length {length}; 1 to {inputs.shape[1]} is possible here")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Extractor:
        # A model that is moved to half precision keeps its features, and their statistics, in float32.
        return super()._apply(lambda tensor: tensor.to(fn(tensor.new_empty(0)).device), recurse)


class WaveformExtractor(Extractor):
    """Base of extractors that read waveforms ``(N, S)`` in frames of fixed length.

    Frame t covers the samples from t * hop to t * hop + window. An utterance shorter than one window is padded with
    zeros to one window.

    Args:
        num_static: features per frame before derivatives.
        sample_rate: of the waveforms, in Hz.
        window_ms: length of a frame in milliseconds.
        hop_ms: from one frame to the next in milliseconds.
        dither: standard deviation of Gaussian noise added to every frame, in training mode only.
        deltas: see :class:`Extractor`, as for the arguments that follow.
        normalization: see there.
        mean_fraction: see there.
        scale: see there.
        level: see there.
        active: see there.
        floor: see there.
        num_bands: see there.

    Attributes:
        sample_rate: in Hz.
        window_samples: length of a frame.
        hop_samples: from one frame to the next.

    Raises:
        InputError: less than 2 samples in a window, less than 1 in a hop, more than `MAX_WINDOW` in one of them, or as
            :class:`Extractor`.
    """

    sample_rate: int

    def __init__(
        self,
        num_static: int,
        sample_rate: int,
        window_ms: float,
        hop_ms: float,
        dither: float,
        deltas: int,
        normalization: str,
        mean_fraction: float,
        scale: bool,
        level: int = 0,
        active: Active = None,
        floor: float | None = None,
        num_bands: int = 0,
    ) -> None:
        for name, value, least in (("window_ms", window_ms, 2), ("hop_ms", hop_ms, 1)):
            # before it is rounded, as it may be no number or infinite
            samples = sample_rate * value / 1000
            if not (samples <= MAX_WINDOW and self.num_samples(value, sample_rate) >= least):
                raise InputError(
                    f"{name}={value}: {samples:g} samples at {sample_rate} Hz; {least} to {MAX_WINDOW} are needed"
                )
        window, hop = self.num_samples(window_ms, sample_rate), self.num_samples(hop_ms, sample_rate)
        super().__init__(
            num_static,
            hop / sample_rate,
            deltas,
            normalization,
            mean_fraction,
            scale,
            level,
            active=active,
            floor=floor,
            num_bands=num_bands,
        )
        self.sample_rate = sample_rate
        self.window_samples = window
        self.hop_samples = hop
        self.dither = dither

    @staticmethod
    def num_samples(milliseconds: float, sample_rate: int) -> int:
        """Return the number of samples of a duration, rounded to the nearest."""
        return round(sample_rate * milliseconds / 1000)

    @property
    def random(self) -> bool:
        """Whether features are different each time, by dither."""
        return self.training and self.dither > 0

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of frames (N,) int64, at least 1, of waveforms of ``lengths`` (N,) samples."""
        beyond_first = (lengths.long() - self.window_samples).clamp(min=0)
        return 1 + beyond_first.div(self.hop_samples, rounding_mode="floor")

    def _check(self, inputs: Tensor, lengths: Tensor) -> None:
        if inputs.dim() != 2:
            raise InputError(f"waveforms of shape {tuple(inputs.shape)}; a batch of mono ones (N, S) is expected")
        super()._check(inputs, lengths)


def append_deltas(static: Tensor, lengths: Tensor, order: int, out: Tensor) -> None:
    """Write static features and their first ``order`` time derivatives into ``out``.

    Equal to ``librosa.feature.delta(width=9, order=…, mode="nearest")`` of every utterance alone: the first
    and the last frame of its own length are repeated beyond its ends.

    Args:
        static: ``(N, T, D)``.
        lengths: frames of each utterance, ``(N,)``.
        order: 0, 1 or 2.
        out: ``(N, T, D * (1 + order))``, columns [static | Δ | ΔΔ].
    """
    n, total, dim = static.shape
    out[:, :, :dim] = static
    if not order:
        return
    starts = torch.arange(n, device=static.device)[:, None] * total  # rows of (N * T, D) where utterances begin
    last = lengths[:, None] - 1

    def derive(blocks: Blocks) -> None:
        for begin, end in blocks:
            times = torch.arange(begin - REACH, end + REACH, device=static.device).clamp(min=0)
            rows = (starts + torch.minimum(times, last)).flatten()
            context = static.flatten(0, 1).index_select(0, rows).view(n, -1, dim)  # (N, REACH + T' + REACH, D)
            for d, (weights, sign) in enumerate(DERIVATIVES[:order], start=1):
                out[:, begin:end, d * dim : (d + 1) * dim] = filter_derivative(context, weights, sign)

    map_blocks(derive, static)


def filter_derivative(context: Tensor, weights: list[float], sign: int) -> Tensor:
    """Filter ``context`` (N, REACH + T + REACH, D) over time to (N, T, D)."""
    size = context.shape[1] - 2 * REACH
    result = context[:, REACH : REACH + size] * weights[0]
    for k in range(1, REACH + 1):
        before = context[:, REACH - k : REACH - k + size]
        after = context[:, REACH + k : REACH + k + size]
        # one product for both sides, as their weights differ at most by sign
        result.add_(torch.add(after, before, alpha=sign), alpha=weights[k])
    return result
