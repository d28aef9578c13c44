"""123 features per frame (40 log-mel + log energy, Δ, ΔΔ) of an hour of audio: ours, librosa and torchaudio.

    python benchmarks/features.py [--quick] [--json FILE]

All compute the same static features. Ours and librosa's derivatives are the same too; torchaudio has only the
regression formula, applied twice. Ours distributes batches and long recordings over torch's threads, the others use
their own default. Rows of RTF (seconds per second of audio) compare with the target of 0.002.
"""

from __future__ import annotations

import librosa
import numpy as np
import torch
from _common import Report, arguments, medians
from torch import Tensor

from asr.features import FilterBank
from asr.utils.torchaudio import import_torchaudio

torchaudio = import_torchaudio()

RATE, WINDOW, HOP, FFT, MELS = 16000, 400, 160, 512, 40
UTTERANCE_SECONDS = 10
BATCH = 30
RTF_TARGET = 0.002


def audio(seconds: int) -> np.ndarray:
    """Return noise modulated at the rate of syllables, (seconds * RATE,) float32."""
    rng = np.random.default_rng(0)
    time = np.arange(seconds * RATE, dtype=np.float32) / RATE
    return (0.1 * np.abs(np.sin(2 * np.pi * 2 * time)) * rng.standard_normal(len(time), dtype=np.float32)).astype(
        np.float32
    )


def parseval() -> np.ndarray:
    """Return the weights that sum a power spectrum to the energy of the windowed frame."""
    weights = np.full(FFT // 2 + 1, 2 / FFT, dtype=np.float32)
    weights[[0, -1]] /= 2
    return weights


def with_librosa(waveform: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Compute features (…, 123, T) of waveforms (…, S)."""
    power = np.abs(librosa.stft(waveform, n_fft=FFT, win_length=WINDOW, hop_length=HOP, center=False)) ** 2
    mel = librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=MELS)
    energy = np.einsum("...ft,f->...t", power, filters)[..., None, :]
    static = np.log(np.maximum(np.concatenate([mel, energy], axis=-2), 1e-10))
    deltas = [librosa.feature.delta(static, width=9, order=order, mode="nearest") for order in (1, 2)]
    return np.concatenate([static, *deltas], axis=-2)


class WithTorchaudio(torch.nn.Module):
    """Features (N, 123, T) of waveforms (N, S) by torchaudio's transforms, which are plain torch."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = torchaudio.transforms.Spectrogram(FFT, WINDOW, HOP, center=False)
        self.mel = torchaudio.transforms.MelScale(MELS, RATE, n_stft=FFT // 2 + 1, norm="slaney", mel_scale="slaney")
        self.delta = torchaudio.transforms.ComputeDeltas(win_length=9)
        self.energy = torch.from_numpy(parseval())

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        power = self.spectrogram(waveforms)
        energy = torch.einsum("nft,f->nt", power, self.energy)[:, None]
        static = torch.cat([self.mel(power), energy], dim=1).clamp(min=1e-10).log()
        slope = self.delta(static)
        return torch.cat([static, slope, self.delta(slope)], dim=1)


def main() -> None:
    options = arguments(__doc__)
    seconds = 600 if options.quick else 3600
    repeats = 3 if options.quick else 5
    waveform = audio(seconds)
    utterances = waveform.reshape(-1, UTTERANCE_SECONDS * RATE)
    tensors = torch.from_numpy(utterances)
    ours, theirs, weights = FilterBank(RATE, normalization="none").eval(), WithTorchaudio(), parseval()

    def run_ours(batch: int) -> None:
        for part in tensors.split(batch):
            ours(part, torch.full((len(part),), part.shape[1]))

    def run_librosa(batch: int) -> None:
        for begin in range(0, len(utterances), batch):
            with_librosa(utterances[begin : begin + batch], weights)

    def run_torchaudio(batch: int) -> None:
        for part in tensors.split(batch):
            theirs(part)

    report = Report()
    rtf = []
    for batch in 1, BATCH:
        case = f"{seconds // 60} min, {UTTERANCE_SECONDS} s utterances, batch {batch}"
        mine, librosas, torchaudios = medians(
            lambda batch=batch: run_ours(batch),
            lambda batch=batch: run_librosa(batch),
            lambda batch=batch: run_torchaudio(batch),
            repeats=repeats,
        )
        report.add(case, mine, librosas, "librosa", "s")
        report.add(case, mine, torchaudios, "torchaudio", "s")
        rtf.append((case, mine / seconds))
    whole = torch.from_numpy(waveform)[None]
    case = f"{seconds // 60} min in one piece"
    mine, librosas = medians(
        lambda: ours(whole, torch.tensor([len(waveform)])), lambda: with_librosa(waveform, weights), repeats=3
    )
    report.add(case, mine, librosas, "librosa", "s")
    rtf.append((case, mine / seconds))
    for case, value in rtf:
        report.add(f"RTF: {case}", value, RTF_TARGET, "target", "s/s")
    report.write(options.json)


if __name__ == "__main__":
    main()
