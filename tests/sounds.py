"""Audio files for tests of every kind, and checks of the messages about damaged ones."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import read, stream
from asr.errors import AudioError

# name of the kind: (extension, format and subtype of libsndfile, error of a sample that its coding may make)
KINDS: dict[str, tuple[str, str, str, float]] = {
    "wav8": (".wav", "WAV", "PCM_U8", 0.01),
    "wav16": (".wav", "WAV", "PCM_16", 1e-4),
    "wav24": (".wav", "WAV", "PCM_24", 1e-6),
    "wav32": (".wav", "WAV", "PCM_32", 1e-6),
    "wavfloat": (".wav", "WAV", "FLOAT", 1e-6),
    "wavulaw": (".wav", "WAV", "ULAW", 0.03),
    "wavadpcm": (".wav", "WAV", "MS_ADPCM", 0.1),
    "w64": (".w64", "W64", "PCM_16", 1e-4),
    "rf64": (".wav", "RF64", "PCM_16", 1e-4),
    "flac": (".flac", "FLAC", "PCM_16", 1e-4),
    "vorbis": (".ogg", "OGG", "VORBIS", 0.1),
    "opus": (".opus", "OGG", "OPUS", 0.1),
    "mp3": (".mp3", "MP3", "MPEG_LAYER_III", 0.1),
    "aiff": (".aiff", "AIFF", "PCM_16", 1e-4),
    "au": (".au", "AU", "PCM_16", 1e-4),
    "caf": (".caf", "CAF", "PCM_16", 1e-4),
    "sph": (".sph", "NIST", "PCM_16", 1e-4),
}


def tone(rate: int, seconds: float, channels: int = 1, hertz: float = 440.0) -> np.ndarray:
    """A sine of amplitude 0.5 in the mean of its channels, ``(n, channels)``; each has its own share."""
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
    shares = np.linspace(0.5, 1.5, channels) if channels > 1 else np.ones(1)
    return wave[:, None] * shares


def speechlike(rate: int, seconds: float) -> np.ndarray:
    """Modulated tones and noise, float32 ``(n,)``: no two stretches of it are alike."""
    time = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(7).standard_normal(len(time))
    wave = np.sin(2 * np.pi * (150 + 60 * time) * time) * (0.6 + 0.4 * np.sin(5 * time))
    return (0.3 * wave + 0.03 * noise).astype(np.float32)


def save(folder: Path, kind: str, samples: np.ndarray, rate: int, name: str = "sound") -> Path:
    extension, container, subtype, _ = KINDS[kind]
    path = folder / (name + extension)
    soundfile.write(path, samples, rate, format=container, subtype=subtype)
    return path


def save_media(
    path: Path, samples: np.ndarray, rate: int, codec: str = "aac", title: str = "", **container_options: str
) -> Path:
    """Mono samples, encoded by PyAV."""
    av = pytest.importorskip("av", reason="the extra `media` is not installed")
    with av.open(str(path), "w", options=container_options) as container:
        container.metadata["title"] = title
        track = container.add_stream(codec, rate=rate, layout="mono")
        if codec == "libmp3lame":  # a variable bit rate
            track.codec_context.options = {"flags": "+qscale", "global_quality": "500"}
        for at in range(0, len(samples), 4096):
            frame = av.AudioFrame.from_ndarray(
                samples[None, at : at + 4096].astype(np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def refused(path: Path, *reasons: str) -> None:
    """``read`` and ``stream`` with ``strict`` refuse the file, name it, give a reason and say what they accept."""
    for attempt in (lambda: read(path, 16_000, strict=True), lambda: list(stream(path, 8_000, 0.5, strict=True))):
        with pytest.raises(AudioError) as caught:
            attempt()
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert re.search("|".join(reasons), message), message
        assert "accepted are" in message or "accepted is" in message


def dominant(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """Frequency in Hz and amplitude of the strongest tone, away from the ends."""
    middle = samples[len(samples) // 5 : -len(samples) // 5]
    window = np.hanning(len(middle))
    spectrum = np.abs(np.fft.rfft(middle * window, 8 * len(middle)))
    peak = int(spectrum.argmax())
    return peak * rate / (8 * len(middle)), 2 * spectrum[peak] / window.sum()
