"""Fixtures that several test modules use."""

from __future__ import annotations

import copy
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

# Two threads wait for each other at every time step of networks as small as these: beside another busy process the
# tests of alignment took 165 s, on one thread 10 s. Must come before anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile

DEFAULT_SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

TONE_RATE = 8000
TONE_LETTERS = "abcdefgh"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use corpora from outside the repository."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.corpora)


@pytest.fixture(autouse=True)
def subnormals() -> Iterator[None]:
    """Training and recognition flush subnormal numbers to zero, for good; hypothesis needs them back."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of the real corpora (``ASR_SHARED_DATA`` or ``../shared/data``); skip the test without it."""
    folder = Path(os.environ.get("ASR_SHARED_DATA", DEFAULT_SHARED_DATA))
    if not folder.is_dir():
        pytest.skip(f"needs corpora from outside the repository: no folder {folder}; set ASR_SHARED_DATA")
    return folder


@pytest.fixture
def text() -> Callable[..., Path]:
    """Write lines to a path."""

    def write(path: Path, *lines: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    return write


def _tones(text: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = [np.zeros(400)]
    for letter in text:
        samples = np.arange(int(TONE_RATE * rng.uniform(0.07, 0.1)))
        hertz = 0.0 if letter == " " else 300 * 1.3 ** TONE_LETTERS.index(letter)
        tone = 0.3 * np.sin(2 * np.pi * hertz * samples / TONE_RATE) * np.hanning(len(samples)) ** 0.3
        parts += [tone, np.zeros(160)]
    waveform = np.concatenate([*parts, np.zeros(240)])
    return (waveform + rng.normal(0, 0.003, len(waveform))).astype(np.float32)


def _tone_texts(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list(TONE_LETTERS), rng.integers(2, 4))) for _ in range(3 * count)]
    return [" ".join(words[3 * i : 3 * i + rng.integers(1, 4)]) for i in range(count)]


def _tone_corpus(folder: Path, texts: Sequence[str], name: str = "train") -> Path:
    from asr.data import manifest

    folder.mkdir(parents=True, exist_ok=True)
    cuts = []
    for i, text in enumerate(texts):
        file = folder / f"{name}{i}.wav"
        soundfile.write(file, _tones(text, i), TONE_RATE)
        phones = " ".join(text.replace(" ", ""))
        cuts.append(manifest.make_cut(f"{name}{i}", file, text, f"s{i % 2}", phones=phones))
    manifest.write(cuts, folder / f"{name}.jsonl")
    return folder / f"{name}.jsonl"


@pytest.fixture(scope="session")
def tones() -> Callable[..., np.ndarray]:
    """``tones(text, seed)``: 8 kHz speech of a kind, in which every letter from a to h is a tone of 0.1 s."""
    return _tones


@pytest.fixture(scope="session")
def tone_texts() -> Callable[..., list[str]]:
    """``tone_texts(count, seed)``: random texts of one to three words that `tones` can say."""
    return _tone_texts


@pytest.fixture(scope="session")
def tone_corpus() -> Callable[..., Path]:
    """``tone_corpus(folder, texts, name)``: wav files of the texts, with letters as phones, and their manifest."""
    return _tone_corpus


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., dict[str, Any]]:
    """``tiny_config(run_dir, train, **{"group.key": value})``: what `asr.training.run.train` takes, dev = train."""
    base: dict[str, Any] = {
        "name": "tiny",
        "seed": 1,
        "init": None,
        "resume": "none",
        "task": {"type": "ctc", "heads": {"text": {"kind": "characters", "normalization": "english"}}},
        "features": {
            "type": "filterbank",
            "sample_rate": TONE_RATE,
            "num_mels": 20,
            "energy": False,
            "deltas": 0,
            "normalization": "global",
        },
        "encoder": {"type": "rnn", "hidden_size": 32, "num_layers": 1, "dropout": 0.0, "stack": 2, "stride": 2},
        "augmentation": {},
        "decoder": {"type": "greedy"},
        "optimizer": {"type": "adamw", "lr": 2e-2, "schedule": {"type": "one_cycle", "pct_start": 0.2}},
        "trainer": {
            "epochs": 30,
            "max_minutes": None,
            "fit_minutes": None,
            "precision": "32-true",
            "accelerator": "cpu",
            "devices": 1,
            "num_nodes": 1,
            "strategy": "auto",
            "threads": None,
            "gradient_clip": 1.0,
            "gradient_clip_by": "norm",
            "gradient_warning": 100,
            "accumulate_batches": 1,
            "average_epochs": 1,
            "weight_noise": 0.0,
            "weight_noise_per": "batch",
            "weight_noise_from": "start",
            "monitor": "auto",
            "early_stopping": None,
        },
        "data": {
            "test": None,
            "seconds": 3,
            "utterances": None,
            "workers": 0,
            "cache_hours": 1,
            "too_short": "skip",
            "unknown_text": "error",
            "teacher": None,
            "teacher_weight": 2.0,
            "untranscribed": None,
            "perturbation": {},
        },
    }

    def make(run_dir: Path, train: Path, **changes: Any) -> dict[str, Any]:
        config = copy.deepcopy(base) | {"run_dir": str(run_dir)}
        config["data"] |= {"train": str(train), "dev": str(train)}
        for key, value in changes.items():
            group, *rest = key.split(".")
            if rest:
                config[group][rest[0]] = value
            else:
                config[group] = value
        return config

    return make


@pytest.fixture(scope="session")
def tone_run(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable[..., dict[str, Any]]) -> Path:
    """A training run on eight utterances (``corpus/train.jsonl`` in it), brought to its end (``model/``)."""
    from asr.training.run import train

    run_dir = tmp_path_factory.mktemp("tone_run")
    train(tiny_config(run_dir, _tone_corpus(run_dir / "corpus", _tone_texts(8))))
    return run_dir


@pytest.fixture(scope="session")
def class_config(tiny_config: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``class_config(run_dir, train, **changes)``: as `tiny_config`, of a classifier."""

    def make(run_dir: Path, train: Path, **changes: Any) -> dict[str, Any]:
        task = {"type": "classification", "pooling": "mean", "heads": {"class": {"kind": "classes"}}}
        config = tiny_config(run_dir, train, **{"trainer.epochs": 15, "data.utterances": 3, "task": task} | changes)
        del config["decoder"]
        for name in ("too_short", "unknown_text", "teacher", "teacher_weight", "untranscribed"):
            if f"data.{name}" not in changes:
                del config["data"][name]
        return config

    return make


@pytest.fixture(scope="session")
def class_run(tmp_path_factory: pytest.TempPathFactory, class_config: Callable[..., dict[str, Any]]) -> Path:
    """A training run of a classifier of "ab", "c d" and "hgf", ``corpus/train.jsonl``, brought to its end."""
    from asr.training.run import train

    run_dir = tmp_path_factory.mktemp("class_run")
    train(class_config(run_dir, _tone_corpus(run_dir / "corpus", ["ab", "c d", "hgf"] * 5)))
    return run_dir


@pytest.fixture
def bfloat16() -> None:
    """Skips a test where LSTMs in bfloat16 are an error of oneDNN's."""
    import torch

    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no bfloat16")


class Outcome(NamedTuple):
    """What a command ended with."""

    status: int
    out: str
    err: str

    def check_refusal(self, message: str) -> None:
        """Status 1 and, as the last line of stderr, one error that matches; no traceback, nothing printed."""
        assert (self.status, self.out) == (1, "")
        last = self.err.splitlines()[-1]
        assert last.startswith("asr: error: ") and re.search(message, last), self.err
        assert self.err.count("asr: error:") == 1 and "Traceback" not in self.err


@pytest.fixture
def asr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """``asr("transcribe", …)`` runs the command in this process."""
    from asr import cli

    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # restored, too: training sets it

    def run(*arguments: object, stdin: bytes = b"") -> Outcome:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["asr", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            try:
                cli.main()
                code: object = 0
            except SystemExit as stopped:
                code = stopped.code
        return Outcome(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    return run
