"""``asr listen``: a microphone, files and raw samples; what is printed, and what is saved."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from microphones import FakeSounddevice

from asr.audio import arriving, microphone
from asr.audio.writer import AudioWriter
from asr.errors import AudioError

RATE = 8000


@pytest.fixture(scope="module")
def texts(tone_texts: Callable[..., list[str]]) -> list[str]:
    """What the model was trained with, without spaces, of which it hears more than there are."""
    return [words_of(text) for text in tone_texts(8)[:2]]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are played without waiting, and disappearing microphones are noticed soon."""
    monkeypatch.setattr(arriving, "wait", lambda seconds: None)
    monkeypatch.setattr(microphone, "GONE_SECONDS", 1.0)


@pytest.fixture
def audio(tmp_path: Path, tones: Callable[..., np.ndarray], tone_texts: Callable[..., list[str]]) -> Path:
    silence = np.random.default_rng(0).normal(0, 0.003, 2 * RATE).astype(np.float32)
    path = tmp_path / "in.wav"
    soundfile.write(path, np.concatenate([tones(tone_texts(8)[0], 0), silence, tones(tone_texts(8)[1], 1)]), RATE)
    return path


@pytest.fixture
def fake(
    tones: Callable[..., np.ndarray], tone_texts: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> FakeSounddevice:
    heard = np.repeat(tones(tone_texts(8)[0], 0), 2)  # at 16 kHz, from which the model's 8 kHz are made
    module = FakeSounddevice(heard)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def words_of(text: str) -> str:
    return "".join(text.split())


def test_a_file_is_played(asr: Callable[..., Any], audio: Path, model: Path, texts: list[str]) -> None:
    result = asr("listen", "--model", model, "--file", audio)
    assert result.status == 0 and "\x1b" not in result.out
    lines = result.out.splitlines()
    assert [words_of(line) for line in lines] == texts  # a line for each stretch of speech


def test_raw_samples_of_standard_input(asr: Callable[..., Any], audio: Path, model: Path) -> None:
    samples, _ = soundfile.read(audio, dtype="int16")
    expected = asr("listen", "--model", model, "--file", audio).out
    raw = samples.astype("<i2").tobytes()
    assert asr("listen", "--model", model, "--file", "-", "--rate", RATE, stdin=raw).out == expected
    assert asr("listen", "--model", model, "--file", "-", "--rate", RATE, stdin=raw + b"\0").out == expected
    assert asr("listen", "--model", model, "--file", "-", stdin=b"").out == ""


def test_json_for_programs(asr: Callable[..., Any], audio: Path, model: Path, texts: list[str]) -> None:
    result = asr("listen", "--model", model, "--file", audio, "--json")
    events = [json.loads(line) for line in result.out.splitlines()]
    assert {event["type"] for event in events} == {"committed", "partial"}
    committed = [event for event in events if event["type"] == "committed"]
    assert words_of("".join(event["text"] for event in committed)) == "".join(texts)
    for event in committed:
        assert event["text"] == " ".join(word["text"] for word in event["words"])
        assert all(set(word) == {"text", "start", "end", "confidence"} for word in event["words"])
    assert [event["is_end"] for event in committed][-1] is True


def test_audio_and_transcript_are_saved(
    asr: Callable[..., Any], audio: Path, tmp_path: Path, model: Path, texts: list[str]
) -> None:
    for name in ("out.wav", "new/out.flac"):
        result = asr("listen", "--model", model, "--file", audio, "--save", tmp_path / name, "--format", "txt,json")
        assert result.status == 0 and "asr: wrote" in result.err
        saved, rate = soundfile.read(tmp_path / name)
        np.testing.assert_allclose(saved, soundfile.read(audio)[0], atol=1e-4)
        assert rate == RATE
        folder = (tmp_path / name).parent
        assert words_of((folder / "out.txt").read_text()) == "".join(texts)
        transcript = json.loads((folder / "out.json").read_text())
        assert transcript["duration"] == pytest.approx(len(saved) / RATE, abs=1e-3)
        assert not list(folder.glob("*part*")) and not list(folder.glob(".*"))


def test_files_that_exist_are_kept(asr: Callable[..., Any], audio: Path, tmp_path: Path, model: Path) -> None:
    arguments = ("listen", "--model", model, "--file", audio, "--save", tmp_path / "out.wav")
    for name in ("out.wav", "out.txt"):
        (tmp_path / name).write_text("mine")
        asr(*arguments).check_refusal(rf"{name}: exists")
        assert (tmp_path / name).read_text() == "mine"
        assert asr(*arguments, "--overwrite").status == 0
        (tmp_path / "out.wav").unlink()
        (tmp_path / "out.txt").unlink()
    (tmp_path / "out.part.wav").touch()
    asr(*arguments).check_refusal(r"out\.part\.wav: left by a recording that was cut short")
    asr(*arguments[:-1], tmp_path / "out.mp3").check_refusal(r"out\.mp3: audio is written as \.wav or \.flac")


def test_a_microphone_until_it_is_interrupted(
    asr: Callable[..., Any], fake: FakeSounddevice, tmp_path: Path, model: Path, texts: list[str]
) -> None:
    result = asr("listen", "--model", model, "--save", tmp_path / "out.wav")
    assert result.status == 0, result.err
    assert words_of(result.out) == texts[0]
    assert fake.opened == [16000] and fake.closed == 1
    assert len(soundfile.read(tmp_path / "out.wav")[0]) > 0.95 * len(fake.samples) / 2
    assert words_of((tmp_path / "out.txt").read_text()) == texts[0]


def test_a_microphone_that_never_pauses_can_be_interrupted(
    asr: Callable[..., Any], fake: FakeSounddevice, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some drivers deliver samples as fast as they are taken: there is always one that waits."""
    fake.then = "never end"
    monkeypatch.setattr(arriving, "MAX_WAITING", 4 * RATE)
    interrupt = threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    result = asr("listen", "--model", model, "--save", tmp_path / "out.wav")
    interrupt.join()
    assert result.status == 0, result.err
    assert fake.closed == 1 and len(soundfile.read(tmp_path / "out.wav")[0])


@pytest.mark.parametrize("native", [RATE, 48_000])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_samples_beyond_full_scale_are_clipped(fake: FakeSounddevice, tmp_path: Path, suffix: str, native: int) -> None:
    """They do not wrap to the other sign; at another rate the filter of the resampler adds to them."""
    loud = 3 * np.sin(2 * np.pi * 50 * np.arange(native) / native).astype(np.float32)
    loud[native // 2] = np.nan
    fake.samples, fake.then, fake.rates = loud, "finish", (native,)
    device = dataclasses.replace(microphone.find_device(None), sample_rate=native)
    writer = AudioWriter(tmp_path / f"out{suffix}", RATE)
    with microphone.open_microphone(device, RATE) as audio, contextlib.suppress(AudioError):  # it disappears at the end
        for block in audio.blocks():
            writer.write(block)
    writer.close()
    saved, _ = soundfile.read(writer.path)
    wanted = np.clip(3 * np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE), -1, 1)
    assert np.abs(saved).max() <= 1.0
    near = np.delete(np.arange(RATE), np.arange(RATE // 2 - 20, RATE // 2 + 20))  # not where no number was
    assert np.abs(saved[near] - wanted[near]).max() < 0.15


@pytest.mark.parametrize("then", ["vanish", "finish"])
def test_a_microphone_that_disappears(
    asr: Callable[..., Any], fake: FakeSounddevice, tmp_path: Path, then: str, model: Path, texts: list[str]
) -> None:
    fake.then = then
    result = asr("listen", "--model", model, "--save", tmp_path / "out.wav")
    assert result.status == 1 and "Traceback" not in result.err
    assert result.err.splitlines()[-1].startswith("asr: error: audio input USB Microphone: ")
    assert words_of(result.out) == words_of((tmp_path / "out.txt").read_text()) == texts[0]
    assert len(soundfile.read(tmp_path / "out.wav")[0]) > 0.95 * len(fake.samples) / 2


def test_devices(asr: Callable[..., Any], fake: FakeSounddevice, model: Path) -> None:
    listed = asr("listen", "--list-devices")
    assert listed.out.splitlines() == [
        "  1  Built-in Microphone (1 channels, 16000 Hz)",
        "* 2  USB Microphone (1 channels, 16000 Hz)",
        "  3  Line (1 channels, 16000 Hz)",
    ]
    for device in ("1", "built", "Line"):
        assert asr("listen", "--model", model, "--device", device).status == 0
    asr("listen", "--model", model, "--device", "microphone").check_refusal("2 audio inputs have 'microphone'")
    asr("listen", "--model", model, "--device", "0").check_refusal(r"no audio input '0'; there are 1 \(Built-in")
    fake.names[3] = "broken"
    asr("listen", "--model", model, "--device", "3").check_refusal("audio input broken: .*Device unavailable")
    fake.names[1:] = []
    monkey: Any = fake
    monkey.query_devices = lambda *args, **options: [] if options.get("kind") is None else {}
    asr("listen", "--model", model).check_refusal("no audio input; connect a microphone")
    asr("listen", "--list-devices").check_refusal("no audio input")


def test_what_is_missing_is_named(asr: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    asr("listen").check_refusal(r'sounddevice: pip install "asr-recurrent\[microphone\]"')

    class NoLibrary:
        def find_spec(self, name: str, *rest: Any) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice")
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    asr("listen", "--list-devices").check_refusal(r"PortAudio.*extra microphone.*libportaudio2")


def test_what_is_refused(asr: Callable[..., Any], audio: Path, tmp_path: Path) -> None:
    asr("listen", "--file", tmp_path / "none.wav").check_refusal(r"none\.wav: no such file")
    asr("listen", "--file", audio, "--device", "1").check_refusal("leave out --device")
    asr("listen", "--file", "-", "--rate", "5").check_refusal("sample rate of 5 Hz")
    asr("listen", "--file", audio, "--rate", "8000").check_refusal("--rate is that of raw samples: add --file -")
    asr("listen", "--file", audio, "--format", "srt").check_refusal("add --save FILE")
    asr("listen", "--file", audio, "--save", tmp_path / "a.wav", "--format", "doc").check_refusal("doc")


@pytest.mark.slow
def test_a_program_that_is_stopped_saves(tmp_path: Path, audio: Path, model: Path) -> None:
    """SIGTERM while standard input is silent: what was heard is saved, the status is 0."""
    program = "import sys; from asr.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "listen", "--model", str(model), "--file", "-", "--rate", str(RATE)]
    process = subprocess.Popen(
        [*command, "--save", str(tmp_path / "out.wav")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False
    )
    assert process.stdin
    process.stdin.write(soundfile.read(audio, dtype="int16")[0].tobytes())
    process.stdin.flush()
    part = tmp_path / "out.part.wav"
    for _ in range(600):
        if part.exists() and part.stat().st_size > 1000:
            break
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert words_of(out.decode()) == words_of((tmp_path / "out.txt").read_text())
    assert (tmp_path / "out.wav").exists() and not part.exists()
