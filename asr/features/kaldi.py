"""Kaldi's filter bank and MFCC, computed by ``torchaudio.compliance.kaldi``."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from asr.errors import InputError
from asr.features._blocks import Blocks, map_blocks
from asr.features.extractor import WaveformExtractor, matmul_safe
from asr.utils.options import check_choice
from asr.utils.torchaudio import import_torchaudio

WINDOWS = ("povey", "hanning", "hamming", "blackman", "rectangular")
INT16_SCALE = 32768.0


def compliance() -> Any:
    """Import ``torchaudio.compliance.kaldi``, which models with other features do not need."""
    import_torchaudio()
    return importlib.import_module("torchaudio.compliance.kaldi")


class _KaldiExtractor(WaveformExtractor):
    """Base of both: framing and blocks; each block is handed to a function of ``torchaudio.compliance.kaldi``.

    Args:
        function: ``"fbank"`` or ``"mfcc"``.
        num_static: features per frame before derivatives.
        cepstra: arguments of ``"mfcc"`` alone, by torchaudio's names.

    The others are those of `KaldiFilterBank`.

    Raises:
        InputError: an option is out of its range, or a filter holds no FFT bin.
    """

    def __init__(
        self,
        function: str,
        num_static: int,
        cepstra: dict[str, Any],
        *,
        sample_rate: int,
        num_mels: int,
        energy: bool,
        deltas: int,
        window_ms: float,
        hop_ms: float,
        low_hz: float,
        high_hz: float | None,
        window_type: str,
        preemphasis: float,
        remove_dc_offset: bool,
        dither: float,
        energy_floor: float,
        snip_edges: bool,
        int16_range: bool,
        normalization: str,
        mean_fraction: float,
        scale: bool,
    ) -> None:
        super().__init__(
            num_static, sample_rate, window_ms, hop_ms, dither, deltas, normalization, mean_fraction, scale
        )
        check_choice("window_type", window_type, WINDOWS)
        if not 0 <= preemphasis <= 1:
            raise InputError(f"preemphasis={preemphasis}: use a number from 0 to 1")
        if energy_floor < 0:
            raise InputError(f"energy_floor={energy_floor}: use 0 (off) or a positive number")
        high = high_hz if high_hz and high_hz > 0 else sample_rate / 2 + (high_hz or 0.0)
        _check_filters(sample_rate, self.window_samples, num_mels, low_hz, high)
        self.num_static = num_static
        self.snip_edges = snip_edges
        # first sample of frame 0: frames begin with the utterance, or are centered in their hop
        self.first_sample = 0 if snip_edges else self.hop_samples // 2 - self.window_samples // 2
        self.gain = INT16_SCALE if int16_range else 1.0
        self.compute = getattr(compliance(), function)
        self.options = cepstra | {
            "sample_frequency": float(sample_rate),
            "frame_length": window_ms,
            "frame_shift": hop_ms,
            "num_mel_bins": num_mels,
            "use_energy": energy,
            "low_freq": float(low_hz),
            "high_freq": float(high),
            "window_type": window_type,
            "preemphasis_coefficient": preemphasis,
            "remove_dc_offset": remove_dc_offset,
            "energy_floor": energy_floor,
            "snip_edges": True,  # of a block, whose samples beyond the utterance's ends are mirrored here
        }

    @staticmethod
    def num_samples(milliseconds: float, sample_rate: int) -> int:
        """Return the number of samples of a duration, truncated as Kaldi does."""
        return int(sample_rate * milliseconds * 0.001)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of frames (N,) int64, at least 1, of waveforms of ``lengths`` (N,) samples."""
        if self.snip_edges:
            return super().output_lengths(lengths)
        rounded = (lengths.long() + self.hop_samples // 2).div(self.hop_samples, rounding_mode="floor")
        return rounded.clamp(min=1)

    def static_features(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return features (N, T, D) of waveforms ``inputs`` (N, S) of ``lengths`` (N,) samples."""
        frames = self.output_lengths(lengths)
        features = inputs.new_zeros(len(inputs), int(frames.max()), self.num_static)
        rows = zip(features, inputs, lengths.tolist(), frames.tolist(), strict=True)
        for row, waveform, samples, count in rows:  # torchaudio's functions take one utterance
            self._fill(row[None, :count], waveform[:samples])
        return features

    def _fill(self, features: Tensor, waveform: Tensor) -> None:
        """Write the features of ``waveform`` (S,) to ``features`` (1, T, D)."""
        dither = self.dither if self.training else 0.0

        def compute(blocks: Blocks) -> None:
            for begin, end in blocks:
                first = self.first_sample + begin * self.hop_samples
                last = self.first_sample + (end - 1) * self.hop_samples + self.window_samples
                samples = matmul_safe(self._extended(waveform, first, last) * self.gain)
                features[0, begin:end] = self.compute(samples[None], dither=dither, **self.options)

        map_blocks(compute, features)

    def _extended(self, waveform: Tensor, first: int, last: int) -> Tensor:
        """Return samples ``first`` to ``last`` of ``waveform`` (S,), mirrored or zero beyond its ends."""
        size = len(waveform)
        if first >= 0 and last <= size:
            return waveform[first:last]
        if self.snip_edges:  # an utterance shorter than a window
            return torch.nn.functional.pad(waveform, (0, last - size))
        # … x1 x0 | x0 x1 … xn | xn … x1 x0 | x0 x1 …, as often as a short utterance needs it
        index = torch.arange(first, last, device=waveform.device).remainder(2 * size)
        return waveform[torch.minimum(index, 2 * size - 1 - index)]


def _check_filters(sample_rate: int, window_samples: int, num_mels: int, low_hz: float, high_hz: float) -> None:
    """Raise InputError unless every filter of the bank holds an FFT bin."""
    nyquist = sample_rate / 2
    if not 0 <= low_hz < high_hz <= nyquist:
        raise InputError(
            f"band {low_hz:g} to {high_hz:g} Hz: at {sample_rate} Hz it must lie within 0 to {nyquist:g} Hz"
        )
    fft_length = 1 << (window_samples - 1).bit_length()
    if not 4 <= num_mels <= fft_length // 2:
        raise InputError(f"num_mels={num_mels}: use 4 to {fft_length // 2}, the number of FFT bins")
    options = (float(sample_rate), float(low_hz), float(high_hz), 100.0, -500.0, 1.0)  # the last three: no VTLN
    filters, _ = compliance().get_mel_banks(num_mels, fft_length, *options)
    if not filters.any(1).all():
        raise InputError(
            f"mel filter {int(filters.any(1).int().argmin())} of {num_mels} lies between two FFT bins, "
            f"{sample_rate / fft_length:.1f} Hz apart: use fewer mels, a longer window or a wider band"
        )


class KaldiFilterBank(_KaldiExtractor):
    """Log-mel filter bank of Kaldi (``compute-fbank-feats``), lhotse and icefall.

    ``forward(waveforms (N, S) float, lengths (N,) in samples)`` → features (N, T, dim), lengths (N,). From each frame
    its mean is subtracted; preemphasis, window and power spectrum over the next power of two samples follow. Filters
    are triangles of height 1 on the scale mel = 1127 ln(1 + f / 700). Energies are floored at float32's epsilon
    (1.19e-7), and their natural logarithm is taken.

    Defaults are those of Kaldi, except for the number of filters (in Kaldi 23) and the dither (in Kaldi 1, in use
    too). Icefall's are ``high_hz=-400, snip_edges=False, int16_range=False``. Derivatives are those of all extractors
    here (over 9 frames), not those of Kaldi's ``add-deltas``.

    Args:
        sample_rate: of the waveforms, in Hz.
        num_mels: number of filters, 4 or more.
        energy: whether to put the log energy of the frame before preemphasis and window in front, as column 0.
        deltas: number of time derivatives to append, 0 to 2.
        window_ms: length of a frame in milliseconds, truncated to samples.
        hop_ms: from one frame to the next in milliseconds, truncated to samples.
        low_hz: lower edge of the lowest filter, in Hz.
        high_hz: upper edge of the highest filter in Hz; a negative number is added to half the sample rate; None: half
            the sample rate.
        window_type: ``"povey"`` (a Hann window to the power of 0.85), ``"hanning"``, ``"hamming"``, ``"blackman"`` or
            ``"rectangular"``.
        preemphasis: x[i] - preemphasis * x[i-1] within every frame, 0 to 1; 0 is off.
        remove_dc_offset: whether to subtract the mean of every frame.
        dither: standard deviation of Gaussian noise added to every frame, in training mode only, on the scale of
            ``int16_range``; 0 is off.
        energy_floor: lower limit of the energy in column 0, on the scale of ``int16_range``; 0 is off.
        snip_edges: True: only frames that fit into the utterance, 1 + (S - window) // hop. False: round(S / hop)
            frames, each centered in its hop; the waveform is mirrored at its ends. An utterance too short for one
            frame has one nevertheless (in Kaldi none), with ``snip_edges`` padded with zeros.
        int16_range: whether to multiply samples, here from -1 to 1, by 32768: Kaldi reads 16-bit integers.
        normalization: mode of :class:`~asr.features.FeatureNormalizer`.
        mean_fraction: see there.
        scale: see there.

    Raises:
        InputError: an option is out of its range, or a filter holds no FFT bin.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        num_mels: int = 80,
        energy: bool = False,
        deltas: int = 0,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        low_hz: float = 20.0,
        high_hz: float | None = None,
        window_type: str = "povey",
        preemphasis: float = 0.97,
        remove_dc_offset: bool = True,
        dither: float = 0.0,
        energy_floor: float = 0.0,
        snip_edges: bool = True,
        int16_range: bool = True,
        normalization: str = "global",
        mean_fraction: float = 1.0,
        scale: bool = True,
    ) -> None:
        super().__init__(
            "fbank",
            num_mels + energy,
            {},
            sample_rate=sample_rate,
            num_mels=num_mels,
            energy=energy,
            deltas=deltas,
            window_ms=window_ms,
            hop_ms=hop_ms,
            low_hz=low_hz,
            high_hz=high_hz,
            window_type=window_type,
            preemphasis=preemphasis,
            remove_dc_offset=remove_dc_offset,
            dither=dither,
            energy_floor=energy_floor,
            snip_edges=snip_edges,
            int16_range=int16_range,
            normalization=normalization,
            mean_fraction=mean_fraction,
            scale=scale,
        )


class KaldiMFCC(_KaldiExtractor):
    """MFCC of Kaldi (``compute-mfcc-feats``): the liftered DCT of its log-mel filter bank.

    ``forward(waveforms (N, S) float, lengths (N,) in samples)`` → features (N, T, dim), lengths (N,). The DCT-II is
    orthonormal; coefficient n is multiplied by 1 + lifter / 2 * sin(π n / lifter). The filter bank is that of
    `KaldiFilterBank`. Defaults are those of Kaldi's ``mfcc_hires.conf`` (40 filters, 40 coefficients, up to 400 Hz
    below half the sample rate), which keep all that the filters tell.

    Args:
        sample_rate: of the waveforms, in Hz.
        num_ceps: number of coefficients that are kept, 1 to ``num_mels``.
        num_mels: number of filters, 4 or more.
        cepstral_lifter: the lifter's constant; 0 is off.
        energy: whether the log energy of the frame before preemphasis and window replaces coefficient 0.
        deltas: number of time derivatives to append, 0 to 2.
        window_ms: see `KaldiFilterBank`, as for all arguments that follow.
        hop_ms: see there.
        low_hz: see there.
        high_hz: see there.
        window_type: see there.
        preemphasis: see there.
        remove_dc_offset: see there.
        dither: see there.
        energy_floor: see there.
        snip_edges: see there.
        int16_range: see there.
        normalization: see there.
        mean_fraction: see there.
        scale: see there.

    Raises:
        InputError: an option is out of its range, or a filter holds no FFT bin.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        num_ceps: int = 40,
        num_mels: int = 40,
        cepstral_lifter: float = 22.0,
        energy: bool = False,
        deltas: int = 0,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        low_hz: float = 20.0,
        high_hz: float | None = -400.0,
        window_type: str = "povey",
        preemphasis: float = 0.97,
        remove_dc_offset: bool = True,
        dither: float = 0.0,
        energy_floor: float = 0.0,
        snip_edges: bool = True,
        int16_range: bool = True,
        normalization: str = "global",
        mean_fraction: float = 1.0,
        scale: bool = True,
    ) -> None:
        if not 1 <= num_ceps <= num_mels:
            raise InputError(f"num_ceps={num_ceps}: {num_mels} mels have 1 to {num_mels} cepstra")
        if cepstral_lifter < 0:
            raise InputError(f"cepstral_lifter={cepstral_lifter}: use 0 (off) or a positive number")
        super().__init__(
            "mfcc",
            num_ceps,
            {"num_ceps": num_ceps, "cepstral_lifter": cepstral_lifter},
            sample_rate=sample_rate,
            num_mels=num_mels,
            energy=energy,
            deltas=deltas,
            window_ms=window_ms,
            hop_ms=hop_ms,
            low_hz=low_hz,
            high_hz=high_hz,
            window_type=window_type,
            preemphasis=preemphasis,
            remove_dc_offset=remove_dc_offset,
            dither=dither,
            energy_floor=energy_floor,
            snip_edges=snip_edges,
            int16_range=int16_range,
            normalization=normalization,
            mean_fraction=mean_fraction,
            scale=scale,
        )
