"""Channels, tracks, damaged files and times on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

Command = Callable[..., Any]
RATE = 8000


@pytest.fixture
def call(tmp_path: Path, tones: Callable[..., np.ndarray]) -> Path:
    """A call: one speaker in the first channel, another in the second, after the first."""
    left, right = tones("abc fed", 3), tones("cab", 4)
    both = np.zeros((len(left) + len(right), 2), np.float32)
    both[: len(left), 0] = left
    both[len(left) :, 1] = right
    path = tmp_path / "call.flac"
    soundfile.write(path, both, RATE)
    return path


def test_one_channel(asr: Command, model: Path, call: Path) -> None:
    first = asr("transcribe", call, "--model", model, "--channel", 1, "--format", "ctm")
    assert {line.split()[1] for line in first.out.splitlines()} == {"1"} and "fed" in first.out
    second = json.loads(asr("transcribe", call, "--model", model, "--channel", 2, "--format", "json").out)
    assert second["channel"] == 2 and second["text"] and "fed" not in second["text"]
    mixed = json.loads(asr("transcribe", call, "--model", model, "--format", "json").out)
    assert "channel" not in mixed
    refused = asr("transcribe", call, "--model", model, "--channel", 3)
    assert refused.status == 1 and f"asr: failed: {call}: has no channel 3; accepted: 1 to 2" in refused.err


@pytest.mark.parametrize("value", ["0", "-1", "left", "1,2", ""])
def test_channels_that_do_not_exist(asr: Command, model: Path, call: Path, value: str) -> None:
    asr("transcribe", call, "--model", model, f"--channel={value}").check_refusal(
        "use a number from 1 on, or mix or all"
    )


def test_every_channel_by_itself(asr: Command, model: Path, call: Path, tmp_path: Path) -> None:
    texts = [
        json.loads(asr("transcribe", call, "--model", model, "--channel", channel, "--format", "json").out)["text"]
        for channel in (1, 2)
    ]
    arguments = ["transcribe", call, "--model", model, "--channel", "all"]
    assert asr(*arguments).out == "".join(f"{call} [{i}]: {text}\n" for i, text in enumerate(texts, 1))
    rows = [line.split() for line in asr(*arguments, "--format", "ctm").out.splitlines()]
    for channel, text in enumerate(texts, 1):
        assert [row[4] for row in rows if row[:2] == ["call", str(channel)]] == text.split()
    objects = json.loads(asr(*arguments, "--format", "json").out)
    assert [(one["channel"], one["text"]) for one in objects] == list(enumerate(texts, 1))
    grid = asr(*arguments, "--format", "TextGrid").out
    assert re.findall(r'name = "(.*)"', grid) == ["channel 1", "channel 2"]
    seconds = soundfile.info(call).duration
    assert {float(end) for end in re.findall(r"^ {0,8}xmax = (.*)", grid, re.MULTILINE)} == {round(seconds, 6)}
    for format in ("srt", "vtt", "tsv"):
        assert "[1] " in (printed := asr(*arguments, "--format", format).out) and "[2] " in printed
    for format in ("txt", "json", "srt", "vtt", "tsv", "ctm", "TextGrid"):
        outcome = asr(*arguments, "--format", format, "--output-dir", tmp_path / "out")
        assert (outcome.status, outcome.out) == (0, "")
        if format != "txt":
            assert (tmp_path / "out" / f"call.{format}").read_text() == asr(*arguments, "--format", format).out
    assert (tmp_path / "out" / "call.txt").read_text() == "".join(f"{text}\n" for text in texts)


def test_a_file_that_cannot_be_read_fails_once_for_all_channels(
    asr: Command, model: Path, call: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.flac"
    samples = np.zeros((RATE, 2), np.float32)
    samples[100] = np.nan
    soundfile.write(bad, samples, RATE, format="WAV", subtype="FLOAT")
    outcome = asr("transcribe", bad, call, "--model", model, "--channel", "all")
    assert outcome.status == 1 and outcome.err.count("asr: failed: ") == 1 and "1 of 2 files failed" in outcome.err
    assert len(outcome.out.splitlines()) == 2


def test_a_mono_file_among_them(asr: Command, model: Path, tone_run: Path) -> None:
    file = tone_run / "corpus" / "train0.wav"
    one = json.loads(asr("transcribe", file, "--model", model, "--channel", "all", "--format", "json").out)
    assert one["channel"] == 1


def test_cut_files_are_transcribed_with_a_warning(
    asr: Command, model: Path, tone_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = tone_run / "corpus" / "train0.wav"
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    outcome = asr("transcribe", cut, "--model", model, "--format", "json")
    assert outcome.status == 0
    seconds = json.loads(outcome.out)["duration"]
    assert f"{cut}: cut short after {seconds:.3f} s" in caplog.text
    for command in (
        ["transcribe", cut, "--model", model],
        ["align", cut, tmp_path / "text.txt", "--model", model],
    ):
        (tmp_path / "text.txt").write_text("a")
        assert asr(*command).status == 0
        strict = asr(*command, "--strict")
        assert strict.status == 1 and f"{cut}: cut short after {seconds:.3f} s" in strict.err


def test_classify_has_the_options(asr: Command, class_run: Path, tmp_path: Path) -> None:
    file = class_run / "corpus" / "train1.wav"
    samples, rate = soundfile.read(file)
    stereo = tmp_path / "stereo.wav"
    soundfile.write(stereo, np.stack([np.zeros_like(samples), samples], axis=1), rate)
    (label,) = {
        asr("classify", path, *options, "--model", class_run).out.split("\t")[1]
        for path, options in (
            (file, []),
            (stereo, ["--channel", 2, "--track", 1]),
        )
    }
    assert label == "c d"
    stereo.write_bytes(stereo.read_bytes()[:-2000])
    assert asr("classify", stereo, "--model", class_run).status == 0
    assert "cut short" in asr("classify", stereo, "--model", class_run, "--strict").err
    assert "has no audio track 2" in asr("classify", stereo, "--model", class_run, "--track", 2).err


@pytest.mark.parametrize("samples", [1, 80, 27_733, 30_001])
def test_transcripts_end_where_the_sound_ends(
    asr: Command, model: Path, tmp_path: Path, samples: int, tones: Callable[..., np.ndarray]
) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.resize(tones("abc fed cab", 1), samples), RATE, subtype="PCM_16")
    printed = json.loads(asr("transcribe", path, "--model", model, "--format", "json").out)
    assert printed["duration"] == pytest.approx(samples / RATE, abs=6e-5)
    assert all(word["end"] <= samples / RATE + 6e-5 for word in printed["words"])
    grid = asr("transcribe", path, "--model", model, "--format", "TextGrid").out
    end = float(re.findall(r"^xmax = (.*)", grid, re.MULTILINE)[0])
    assert end == (round(samples / RATE, 6) if samples > 8 else 0.001)
