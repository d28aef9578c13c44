"""``asr transcribe`` in a new process each time: speed, time to the first word, ``--help``.

    python benchmarks/transcribe.py [--quick] [--json FILE] [--model DIR] [--audio DIR]

The peer is ``_naive_transcribe.py``: the same network and features with librosa.load and a packed ``nn.LSTM``, one file
at a time in one process, flushing each line as it is ready. It and ours take turns. Their outputs must agree up to 5 %
of the characters (rounding can decide near ties).

Without ``--model`` the model is a 3 x 250 BLSTM on 123 features with random weights: speed does not depend on the
weights. Without ``--audio`` (a folder, of which the first 60 files are used) the files are noise of 3 to 10 s, 16 kHz
WAV. The files are in the disk's cache; everything else is a cold start. Targets: the first word of
a 10 s file within 4 s of starting the command, ``asr --help`` within 0.3 s.
"""

from __future__ import annotations

import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from _common import Report, arguments, medians
from rapidfuzz.distance import Levenshtein

from asr import audio
from asr.models import store
from asr.text.vocabulary import Vocabulary

RATE = 16000
ASR = [str(Path(sys.executable).with_name("asr"))]
NAIVE = [sys.executable, str(Path(__file__).with_name("_naive_transcribe.py"))]
PEER = "librosa + packed LSTM, one file at a time"
HELP_TARGET, FIRST_WORD_TARGET = 0.3, 4.0
CONFIG = {
    "task": {"type": "ctc", "heads": {"text": {}}},
    "features": {"type": "filterbank", "num_mels": 40, "energy": True, "deltas": 2, "normalization": "utterance"},
    "encoder": {"type": "rnn", "hidden_size": 250, "num_layers": 3},
}


def make_model(directory: Path) -> Path:
    """Write a model directory with random weights."""
    torch.manual_seed(0)
    task = store.make_task(CONFIG, {"text": Vocabulary.characters(" " + string.ascii_lowercase)})
    store.save(task, directory, CONFIG)
    return directory


def make_file(path: Path, seconds: float, seed: int) -> str:
    """Write noise modulated at the rate of syllables as a WAV file."""
    rng = np.random.default_rng(seed)
    swell = np.abs(np.sin(2 * np.pi * 2 * np.arange(round(seconds * RATE)) / RATE))
    soundfile.write(path, (0.1 * swell * rng.standard_normal(len(swell))).clip(-1, 1), RATE)
    return str(path)


def find_files(folder: Path, count: int) -> list[str]:
    """Return the first ``count`` audio files below a folder."""
    files = [str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in audio.INPUT_EXTENSIONS]
    if len(files) < 2:
        raise SystemExit(f"{folder}: fewer than two audio files")
    return files[:count]


def output(command: Sequence[str]) -> str:
    """Return what a command prints; it must succeed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def seconds_to_first_line(command: Sequence[str]) -> float:
    """Return the seconds from starting a command to its first line; it runs to its end."""
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        taken = time.perf_counter() - begin
        process.stdout.read()
    if process.returncode or not line.strip():
        raise SystemExit(f"{command} printed nothing, exit code {process.returncode}")
    return taken


def require_same(ours: str, peer: str) -> None:
    """Print the edit distance of the texts of ``FILE: TEXT`` lines; stop if it is more than 5 %."""
    mine, theirs = (dict(line.split(": ", 1) for line in text.splitlines()) for text in (ours, peer))
    edits = sum(Levenshtein.distance(mine[name], theirs[name]) for name in mine)
    total = sum(map(len, theirs.values()))
    print(f"characters that differ from the peer's: {edits} of {total}")
    if edits > 0.05 * total:
        raise SystemExit("ours and the peer do not run the same network")


def main() -> None:
    options = arguments(__doc__, model="", audio="")
    count, repeats = (12, 2) if options.quick else (60, 5)
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or str(make_model(Path(folder, "model")))
        print(f"model: {options.model or '3 x 250 BLSTM with random weights (speed does not depend on them)'}")
        ten = make_file(Path(folder, "ten.wav"), 10.0, seed=0)
        if options.audio:
            files = find_files(Path(options.audio), count)
        else:
            lengths = np.linspace(3, 10, count)
            files = [make_file(Path(folder, f"{i}.wav"), s, seed=i) for i, s in enumerate(lengths, start=1)]
        seconds = sum(audio.info(file).duration for file in files)
        print(f"audio: {options.audio or 'noise'}, {len(files)} files, {seconds:.0f} s")

        ours, peer = [*ASR, "transcribe", "--model", model], [*NAIVE, model]
        require_same(output([*ours, *files]), output([*peer, *files]))
        report = Report()
        mine, theirs = medians(lambda: output([*ours, *files]), lambda: output([*peer, *files]), repeats=repeats)
        n = len(files)
        report.add(f"{n} files, cold", n / mine, n / theirs, PEER, "files/s", higher_is_better=True)
        report.add(f"{n} files, cold, real-time factor", mine / seconds, theirs / seconds, PEER, "s/s")
        first = [seconds_to_first_line([*command, ten]) for _ in range(repeats) for command in (ours, peer)]
        mine, theirs = float(np.median(first[::2])), float(np.median(first[1::2]))
        report.add("first word of a 10 s file, cold", mine, theirs, PEER, "s")
        report.add("first word of a 10 s file, cold", mine, FIRST_WORD_TARGET, "target", "s")
        (help_seconds,) = medians(lambda: output([*ASR, "--help"]), repeats=10)
        report.add("asr --help", help_seconds, HELP_TARGET, "target", "s")
    report.write(options.json)


if __name__ == "__main__":
    main()
