"""The frames that a network puts out for audio that goes on."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from asr.inference.recognizer import Recognizer
from asr.inference.windows import Window

CONTEXT_SECONDS = 8.0  # before the frames that are asked for; a model that normalizes what it reads needs some speech


class LiveFrames(Protocol):
    """Output frames of a network for audio that is fed in pieces."""

    def feed(self, samples: np.ndarray) -> None:
        """Take in the next samples (S,) float32."""

    def read(self, begin: int, is_final: bool) -> np.ndarray:
        """Return the frames (T, D) from frame ``begin`` on; all of them, if the audio ends here."""

    def forget(self, frame: int) -> None:
        """Drop what only frames before this one need."""


class RereadFrames:
    """Frames of a network that looks ahead: each reading is of the last seconds of audio, and replaces those before.

    Args:
        model: the recognizer.
    """

    def __init__(self, model: Recognizer) -> None:
        self.model = model
        rate = model.sample_rate or 0
        self._unit = round(model.task.frame_seconds * rate)  # samples in a frame
        self._context = round(CONTEXT_SECONDS * rate / self._unit)  # frames
        self._first = 0  # frame at which the samples begin
        self._pieces: list[np.ndarray] = []

    def feed(self, samples: np.ndarray) -> None:
        """Take in the next samples (S,) float32."""
        self._pieces.append(samples)

    def read(self, begin: int, is_final: bool) -> np.ndarray:
        """Return the frames (T, D) from frame ``begin`` on, as they are heard now."""
        audio = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        self._pieces = [audio]
        if len(audio) <= (begin - self._first) * self._unit:
            return np.zeros((0, 0), np.float32)
        window = Window(0, torch.from_numpy(audio), begin - self._first)
        (frames,) = self.model.log_probs([window])
        return window.kept(frames)

    def forget(self, frame: int) -> None:
        """Drop what only frames before this one need."""
        first = max(self._first, frame - self._context)
        audio = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        self._pieces = [audio[(first - self._first) * self._unit :].copy()]
        self._first = first


def make_frames(model: Recognizer) -> LiveFrames:
    """Return the frames of a model for audio that goes on."""
    return RereadFrames(model)
