"""Speech synthesis with phone and word times by espeak-ng, through the optional package ``espeakng-loader``.

espeak-ng is GPL, and keeps state (echo, flutter, noise) between utterances. So it is loaded only in a child process, a
new one for every voice: `speak` runs this module as that child, and the same call always gives the same samples.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asr.errors import InputError
from asr.utils.options import check_choice

SAMPLE_RATE = 22050  # of espeak-ng's own voices, formant and Klatt synthesis

# accent to voice file; espeak-ng 1.52 has none by the name "en-gb", and would keep the previous voice
ACCENTS = {
    "en-gb": "gmw/en",
    "en-us": "gmw/en-US",
    "en-029": "gmw/en-029",
    "en-gb-scotland": "gmw/en-GB-scotland",
    "en-gb-x-rp": "gmw/en-GB-x-rp",
    "en-gb-x-gbclan": "gmw/en-GB-x-gbclan",
    "en-gb-x-gbcwmd": "gmw/en-GB-x-gbcwmd",
    "en-us-nyc": "gmw/en-US-nyc",
}

# espeak-ng/speak_lib.h
EVENT_WORD, EVENT_PHONEME = 1, 7
PARAMETER_RATE, PARAMETER_VOLUME, PARAMETER_PITCH, PARAMETER_RANGE = 1, 2, 3, 4
OUTPUT_SYNCHRONOUS, CHARS_UTF8 = 2, 1
PHONEME_EVENTS, PHONEME_IPA, DONT_EXIT = 1 << 0, 1 << 1, 1 << 15
VOLUME = 60  # at 100 some voices clip
DATA_PATH_BYTES = 120  # espeak-ng truncates paths at 160 bytes, names of voice files included


@dataclass(frozen=True)
class Voice:
    """A voice of espeak-ng.

    Attributes:
        accent: a key of `ACCENTS`.
        variant: one of espeak-ng's speaker variants.
        rate: words per minute.
        pitch: 0 to 100.
        pitch_range: 0 to 100.
    """

    accent: str
    variant: str
    rate: int
    pitch: int
    pitch_range: int


class Event(NamedTuple):
    """The start of a word or phone.

    Attributes:
        kind: `EVENT_WORD` or `EVENT_PHONEME`.
        position: of the word's first character in the text.
        sample: where it begins.
        label: of a phone; empty for a word.
    """

    kind: int
    position: int
    sample: int
    label: str


def speak(voice: Voice, texts: Sequence[str], seed: int = 0) -> list[tuple[np.ndarray, list[Event]]]:
    """Synthesize texts.

    Args:
        voice: of all texts.
        texts: sentences.
        seed: of espeak-ng's noise.

    Returns:
        For each text (n,) int16 samples at `SAMPLE_RATE`, and the events in order of time. Phone labels are IPA with
        stress marks; a pause has an empty label.

    Raises:
        InputError: espeakng-loader is not installed, or the accent or variant is unknown.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise InputError("speech synthesis needs the package espeakng-loader: pip install 'asr-recurrent[synthetic]'")
    check_choice("accent", voice.accent, ACCENTS)
    request = json.dumps({"voice": asdict(voice), "texts": list(texts), "seed": seed})
    package_root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    child = subprocess.run(
        [sys.executable, "-m", "asr.corpora.synthetic._espeak"],
        input=request.encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    if child.returncode:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        message = lines[-1] if lines else f"ended with status {child.returncode}"
        raise InputError(f"espeak-ng, voice {voice.accent}+{voice.variant}: {message}")
    header, _, audio = child.stdout.partition(b"\n")
    samples = np.frombuffer(audio, dtype="<i2")
    spoken, start = [], 0
    for count, events in json.loads(header):
        spoken.append((samples[start : start + count], [Event(*event) for event in events]))
        start += count
    return spoken


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),  # a union; UTF-8 for phonemes, terminated unless it is full
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Synthesizer:
    """The library in this process, with one voice."""

    def __init__(self, data_path: str, voice: Voice, seed: int) -> None:
        import espeakng_loader

        if not (Path(data_path) / "voices" / "!v" / voice.variant).is_file():
            raise SystemExit(f"unknown variant {voice.variant!r}")  # espeak-ng would ignore it
        self.library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        options = PHONEME_EVENTS | PHONEME_IPA | DONT_EXIT
        rate = self.library.espeak_Initialize(OUTPUT_SYNCHRONOUS, 0, os.fsencode(data_path), options)
        if rate != SAMPLE_RATE:
            raise SystemExit(f"espeak_Initialize gave {rate}, expected a rate of {SAMPLE_RATE}")
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(seed))  # of its noise; by default from the clock
        if self.library.espeak_SetVoiceByName(f"{ACCENTS[voice.accent]}+{voice.variant}".encode()):
            raise SystemExit("this voice cannot be loaded")
        for parameter, value in (
            (PARAMETER_RATE, voice.rate),
            (PARAMETER_VOLUME, VOLUME),
            (PARAMETER_PITCH, voice.pitch),
            (PARAMETER_RANGE, voice.pitch_range),
        ):
            self.library.espeak_SetParameter(parameter, value, 0)
        self.callback = _CALLBACK(self._receive)  # kept, or ctypes would free it
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count:
            self.blocks.append(np.ctypeslib.as_array(samples, (count,)).astype("<i2"))
        index = 0
        while events[index].type:
            event = events[index]
            index += 1
            if event.type in (EVENT_WORD, EVENT_PHONEME):
                label = event.name.decode() if event.type == EVENT_PHONEME else ""
                self.events.append(Event(event.type, event.text_position - 1, event.sample, label))
        return 0

    def speak(self, text: str) -> tuple[np.ndarray, list[Event]]:
        self.blocks: list[np.ndarray] = []
        self.events: list[Event] = []
        encoded = text.encode()
        if self.library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, CHARS_UTF8, None, None):
            raise SystemExit(f"cannot speak {text!r}")
        return np.concatenate([*self.blocks, np.zeros(0, dtype="<i2")]), self.events


def short_path(path: str, folder: str) -> str:
    """Return ``path``, or if espeak-ng cannot take its length a link to it in ``folder`` (or a copy, without links)."""
    if len(os.fsencode(path)) <= DATA_PATH_BYTES:
        return path
    link = os.path.join(folder, "data")
    try:
        os.symlink(path, link, target_is_directory=True)
    except OSError:
        shutil.copytree(path, link)
    return link


def _main() -> None:
    """Run the child: it reads a request as JSON from stdin and writes a line of JSON and all samples to stdout."""
    import espeakng_loader

    request = json.loads(sys.stdin.buffer.read())
    with tempfile.TemporaryDirectory() as folder:
        data_path = short_path(espeakng_loader.get_data_path(), folder)
        synthesizer = _Synthesizer(data_path, Voice(**request["voice"]), request["seed"])
        spoken = [synthesizer.speak(text) for text in request["texts"]]
    header = json.dumps([(len(samples), events) for samples, events in spoken])
    sys.stdout.buffer.write(header.encode() + b"\n")
    for samples, _ in spoken:
        sys.stdout.buffer.write(samples.tobytes())


if __name__ == "__main__":
    _main()
