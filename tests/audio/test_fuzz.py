"""Thousands of damaged files of many formats: read or refused, never a traceback, a crash or a hang."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sounds import save, save_media, speechlike

from asr.audio import info, read
from asr.errors import AudioError

RATE = 16_000
FILES = 2_000
SECONDS = 10.0  # of the CPU for one file, read three times

PLAIN = ("wav16", "wavadpcm", "flac", "vorbis", "opus", "mp3", "aiff", "caf", "sph", "au", "w64")
MEDIA = {"x.m4a": "aac", "x.mkv": "aac", "x.ts": "aac", "x.avi": "libmp3lame", "x.flv": "aac", "x.aac": "aac",
         "x.tta": "tta", "x.wv": "wavpack", "x.asf": "libmp3lame", "g722.wav": "g722", "x.mov": "alac"}  # fmt: skip
SIZES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x80")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return a file with bytes changed, deleted, inserted or repeated, mostly in its header."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(changed) if rng.random() < 0.5 else min(len(changed), 300))
        kind = rng.choice(("byte", "size", "delete", "insert", "repeat", "cut"))
        if kind == "byte":
            changed[at] = rng.randrange(256)
        elif kind == "size":
            changed[at : at + 4] = rng.choice(SIZES)
        elif kind == "delete":
            del changed[at : at + rng.randrange(1, 400)]
        elif kind == "insert":
            changed[at:at] = rng.randbytes(rng.randrange(1, 300))
        elif kind == "repeat":
            changed[at:at] = changed[at : at + rng.randrange(1, 500)]
        elif rng.random() < 0.3:
            del changed[at:]
        if not changed:
            changed = bytearray(b"x")
    return bytes(changed)


@pytest.mark.slow
def test_mutated_files(tmp_path: Path) -> None:
    wave = speechlike(RATE, 2.0)
    originals = [save(tmp_path, kind, wave, RATE, kind).read_bytes() for kind in PLAIN]
    originals += [save_media(tmp_path / name, wave, RATE, codec).read_bytes() for name, codec in MEDIA.items()]
    rng = random.Random(0)
    attempts: tuple[Callable[[io.BytesIO], object], ...] = (
        info,
        lambda file: read(file, RATE),
        lambda file: read(file, RATE, strict=True),
    )
    readable = 0
    for number in range(FILES):
        data = mutated(originals[number % len(originals)], rng)
        (tmp_path / "mutated").write_bytes(data)  # to look at after a crash
        begin = time.process_time()
        for attempt in attempts:
            try:
                result = attempt(io.BytesIO(data))
            except AudioError as error:
                assert str(error).startswith("audio stream: ")  # noqa: PT017
                continue
            readable += 1
            if isinstance(result, np.ndarray):
                assert np.isfinite(result).all()
        assert time.process_time() - begin < SECONDS, number
    assert readable > FILES
