"""``asr plot``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, tones: Callable[..., np.ndarray]) -> Path:
    folder = tmp_path_factory.mktemp("plot")
    soundfile.write(folder / "one.wav", tones("ab cd"), 8000)
    (folder / "one.txt").write_text("ab cd")
    return folder / "one.wav"


PICTURES = {
    "spikes": ["spikes", "AUDIO"],
    "spikes-of-a-text": ["spikes", "AUDIO", "TEXT"],
    "spikes-of-a-part": ["spikes", "AUDIO", "--start", "0.1", "--duration", "0.3"],
    "sensitivity": ["sensitivity", "AUDIO"],
    "sensitivity-of-a-label": ["sensitivity", "AUDIO", "--label", "c", "--at", "0.2"],
    "gates": ["gates", "AUDIO"],
    "gradients": ["gradients", "AUDIO", "TEXT"],
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_recording_is_drawn(
    name: str, asr: Callable[..., Any], recording: Path, tone_run: Path, tmp_path: Path
) -> None:
    places = {"AUDIO": recording, "TEXT": recording.with_suffix(".txt")}
    arguments = [places.get(word, word) for word in PICTURES[name]]
    outcome = asr("plot", *arguments, "--model", tone_run, "--output", tmp_path / "a.png")
    assert outcome.status == 0, outcome.err
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_curves_and_confusions_of_a_run(asr: Callable[..., Any], tone_run: Path, tmp_path: Path) -> None:
    outcome = asr("plot", "curves", tone_run, tone_run / "model", "--output", tmp_path / "curves.svg")
    assert outcome.status == 0, outcome.err
    corpus = tone_run / "corpus" / "train.jsonl"
    outcome = asr("plot", "confusion", corpus, "--model", tone_run, "--output", tmp_path / "confusion.svg")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("CER ") and (tmp_path / "confusion.svg").exists()


def test_new_networks_of_each_cell(asr: Callable[..., Any], tmp_path: Path) -> None:
    picture = tmp_path / "new.svg"
    outcome = asr("plot", "gradients", "--steps", "30", "--hidden-size", "8", "--layers", "2", "--output", picture)
    assert outcome.status == 0, outcome.err
    assert picture.exists() and "lstm: " in outcome.out and "clockwork: " in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["spikes", "AUDIO", "--output", "a.bmp"], r"a\.bmp: the name of a picture ends in"),
        (["spikes", "missing.wav", "--output", "a.png"], r"missing\.wav"),
        (["gates", "AUDIO", "--layer", "2", "--output", "a.png"], r"layer 2: 1 to 1"),
        (["sensitivity", "AUDIO", "--label", "ß", "--output", "a.png"], r"'ß'"),
        (["sensitivity", "AUDIO", "--at", "9", "--output", "a.png"], r"--at 9: the recording has 0\."),
        (["curves", "missing", "--output", "a.png"], r"missing: no such folder"),
        (["curves", ".", "--output", "a.png"], r"no training run in it"),
        (["gradients", "--cells", "tanh,lsmt", "--output", "a.png"], r"lsmt"),
        (["gradients", "--cells", ",", "--output", "a.png"], r"name at least one of tanh"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    arguments: list[str],
    message: str,
    asr: Callable[..., Any],
    recording: Path,
    tone_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    model = ["--model", str(tone_run)] if "AUDIO" in arguments else []
    outcome = asr("plot", *[str(recording) if word == "AUDIO" else word for word in arguments], *model)
    outcome.check_refusal(message)
    assert not list(tmp_path.iterdir())


def test_recordings_that_fill_a_picture_are_refused(asr: Callable[..., Any], tone_run: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(61 * 8000), 8000)
    outcome = asr("plot", "spikes", tmp_path / "long.wav", "--model", tone_run, "--output", tmp_path / "a.png")
    outcome.check_refusal(r"long\.wav: longer than 60 s.*--start and --duration")
