"""Recognize files with one recognizer, in a process of its own: ``PYTHON _recognize.py NAME [CORE]``.

Reads the names of WAV files (16 kHz, mono, 16 bits) from standard input and writes one line of JSON: the texts, and the
seconds and memory that they took. It runs in a peer's environment too, so nothing but that peer is imported at the top.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import wave
from collections.abc import Callable, Sequence

Recognize = Callable[[Sequence[str]], list[str]]


def ours() -> Recognize:
    """Load the model of English that is part of the package."""
    import asr

    recognizer = asr.load(plain=True)  # error rates are those of the bare words

    def recognize(paths: Sequence[str]) -> list[str]:
        texts = [""] * len(paths)
        for index, result in recognizer.transcribe_all(paths):
            texts[index] = result.spoken or result.text
        return texts

    return recognize


def pocketsphinx() -> Recognize:
    """Load PocketSphinx with the models that its package on PyPI has."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16_000, loglevel="FATAL")

    def recognize_one(path: str) -> str:
        with wave.open(path) as file:
            samples = file.readframes(file.getnframes())
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""

    return lambda paths: [recognize_one(path) for path in paths]


def moonshine() -> Recognize:
    """Load Moonshine base, whose English weights are in the package moonshine-cpp on PyPI.

    Version 0.1.4 frees no memory: it took 2.3 GB after 12 files and over 10 GB within 30 (``--utterances 20``).
    """
    from moonshine_cpp import MoonshineModel

    model = MoonshineModel()
    return lambda paths: [model.transcribe_wav(path) for path in paths]


RECOGNIZERS = {"ours": ours, "pocketsphinx": pocketsphinx, "moonshine_cpp": moonshine}


def main() -> None:
    """Recognize the files that standard input names."""
    name, *core = sys.argv[1:]
    if core:
        os.sched_setaffinity(0, {int(core[0])})  # before a library counts the cores
    paths = sys.stdin.read().splitlines()
    recognize = RECOGNIZERS[name]()
    begin = time.process_time()
    texts = recognize(paths)
    cpu = time.process_time() - begin
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"texts": texts, "cpu": cpu, "megabytes": megabytes}))


if __name__ == "__main__":
    main()
