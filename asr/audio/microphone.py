"""Microphones and other audio inputs of this machine, by the package sounddevice (extra ``microphone``)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from asr.audio.arriving import BLOCK_SECONDS, ArrivingAudio, make_resampler
from asr.audio.backend import log_once
from asr.errors import AudioError, InputError

log = logging.getLogger(__name__)

GONE_SECONDS = 3.0  # without a sample, after which a microphone has disappeared


@dataclass(frozen=True)
class InputDevice:
    """An audio input.

    Attributes:
        number: by which it is chosen.
        name: as the system calls it.
        channels: that it has.
        sample_rate: its usual one, in Hz.
        is_default: whether it is used where none is chosen.
    """

    number: int
    name: str
    channels: int
    sample_rate: int
    is_default: bool


def _sounddevice() -> Any:
    """Import sounddevice.

    Raises:
        InputError: it or the library PortAudio is not installed.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise InputError(
            'a microphone needs the package sounddevice: pip install "asr-recurrent[microphone]"'
        ) from error
    except OSError as error:  # the library is missing
        raise InputError(
            f"a microphone needs the library PortAudio, which sounddevice (extra microphone) does not find ({error}): "
            "install it, on Debian and Ubuntu by apt install libportaudio2"
        ) from error
    return sounddevice


def input_devices() -> list[InputDevice]:
    """Return the audio inputs of this machine.

    Raises:
        InputError: sounddevice or PortAudio is missing, or cannot ask the system.
    """
    sounddevice = _sounddevice()
    with _named("the audio inputs"):
        devices = list(sounddevice.query_devices())
        default = _default_input(sounddevice)
    return [
        InputDevice(
            number,
            str(device["name"]),
            int(device["max_input_channels"]),
            round(device["default_samplerate"]),
            number == default,
        )
        for number, device in enumerate(devices)
        if device["max_input_channels"] > 0
    ]


def _default_input(sounddevice: Any) -> int:
    """Return the number of the usual input; -1 if there is none."""
    try:
        return int(sounddevice.query_devices(kind="input")["index"])
    except (sounddevice.PortAudioError, KeyError, TypeError, ValueError):
        return -1


def find_device(wanted: str | None) -> InputDevice:
    """Return the audio input of a number, or with a name that has a text in it; None: the usual one.

    Raises:
        InputError: there is none, or several have such a name.
    """
    devices = input_devices()
    if not devices:
        raise InputError("this machine has no audio input; connect a microphone, or give --file")
    known = ", ".join(f"{device.number} ({device.name})" for device in devices)
    if wanted is None:
        return next((device for device in devices if device.is_default), devices[0])
    if wanted.isascii() and wanted.isdigit():
        found = [device for device in devices if device.number == int(wanted)]
    else:
        found = [device for device in devices if device.name == wanted]
        found = found or [device for device in devices if wanted.lower() in device.name.lower()]
    if not found:
        raise InputError(f"no audio input {wanted!r}; there are {known}")
    if len(found) > 1:
        raise InputError(f"{len(found)} audio inputs have {wanted!r} in their name; give a number: {known}")
    return found[0]


@contextmanager
def open_microphone(device: InputDevice, rate: int) -> Iterator[ArrivingAudio]:
    """Record from an audio input, one channel.

    Args:
        device: the input.
        rate: of the samples in Hz; an input that does not have it is resampled.

    Yields:
        The samples as they arrive. They end with an AudioError when the input disappears.

    Raises:
        AudioError: it cannot be opened.
    """
    sounddevice = _sounddevice()
    name = f"audio input {device.name}"
    native = rate
    with _named(name):
        try:
            sounddevice.check_input_settings(device=device.number, channels=1, dtype="float32", samplerate=rate)
        except sounddevice.PortAudioError:
            native = device.sample_rate
    audio = ArrivingAudio(name, make_resampler(native, rate), GONE_SECONDS)

    def take(samples: np.ndarray, frames: int, time: Any, status: Any) -> None:
        if status and getattr(status, "input_overflow", False):
            log_once("overflow", f"{name}: samples were lost, as this machine is busy")
        audio.put(np.clip(np.nan_to_num(samples[:, 0]), -1, 1))  # drivers have been seen to give what is no number

    with _named(name):
        stream = sounddevice.InputStream(
            device=device.number,
            channels=1,
            dtype="float32",
            samplerate=native,
            blocksize=round(BLOCK_SECONDS * native),
            callback=take,
            finished_callback=lambda: audio.end(AudioError(f"{name}: it has disappeared")),
        )
        stream.start()
    try:
        yield audio
    finally:
        audio.stop()
        try:
            stream.close()
        except sounddevice.PortAudioError as error:  # of an input that is gone
            log.debug("%s: %s", name, error)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Raise an AudioError that names what an error of PortAudio is about."""
    sounddevice = _sounddevice()
    try:
        yield
    except (sounddevice.PortAudioError, ValueError) as error:
        raise AudioError(f"{name}: {' '.join(str(error).split())}") from error
