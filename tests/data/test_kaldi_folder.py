"""Kaldi's data folders: what is read, what stands for a file, and every bad line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr import corpora
from asr.data import manifest
from asr.data.kaldi_folder import file_of_command
from asr.errors import InputError

Write = Callable[..., Path]


def sound(path: Path, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(int(16000 * seconds)), 16000)
    return path


def test_recordings(tmp_path: Path, text: Write) -> None:
    sound(tmp_path / "wav" / "a.wav")
    sound(tmp_path / "wav" / "b c.flac")
    data = tmp_path / "data" / "train"
    text(data / "wav.scp", "ann-1 wav/a.wav", 'bob-1 flac -c -d -s "wav/b c.flac" |')
    text(data / "text", "bob-1 NO  WAY", "ann-1 OPEN THE DOOR")
    text(data / "utt2spk", "ann-1 ann", "bob-1 bob")
    cuts = manifest.read(data)
    assert [(cut.id, manifest.text(cut), manifest.speaker(cut)) for cut in cuts] == [
        ("ann-1", "OPEN THE DOOR", "ann"),
        ("bob-1", "NO WAY", "bob"),
    ]
    assert manifest.audio_path(cuts[1]) == str(tmp_path / "wav" / "b c.flac")
    (split,) = corpora.prepare("folder", data, tmp_path / "out")
    assert split.summary.utterances == 2


def test_segments(tmp_path: Path, text: Write) -> None:
    sound(tmp_path / "call.wav", 4.0)
    text(tmp_path / "wav.scp", f"call sox {tmp_path}/call.wav -r 16k -t wav - |")
    text(tmp_path / "segments", "u1 call 0.5 1.25", "u2 call 2.0 -1")
    text(tmp_path / "text", "u1 one", "u2 two")
    cuts = manifest.read(tmp_path)
    assert [(cut.id, cut.start, cut.duration) for cut in cuts] == [("u1", 0.5, 0.75), ("u2", 2.0, 2.0)]
    assert manifest.speaker(cuts[0]) == ""


def test_every_bad_line_is_named(tmp_path: Path, text: Write, caplog: pytest.LogCaptureFixture) -> None:
    sound(tmp_path / "a.wav", 4.0)
    text(tmp_path / "wav.scp", "a a.wav", "b rm -rf / |", "c feats.ark:17", "d")
    text(
        *(
            tmp_path / "segments",
            "u1 a 0 1",
            "u2 a 2 1",
            "u3 a 2 x",
            "u4 a",
            "u5 z 0 1",
            "u6 b 0 1",
            "u7 c 0 1",
            "u8 a 1 2",
        ),
        *("u9 a 3 9", "v1 d 0 1"),
    )
    text(tmp_path / "text", "u1 one", "u9 nine", "v2 ten", *(f"u{number} x" for number in range(2, 8)), "v1 x")
    with pytest.raises(InputError) as caught:
        manifest.read(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: 10 of 11 utterances cannot be read (asr prepare folder --skip-bad 10 ")
    for part in (
        "segments, line 2: the segment 2–1 s ends before it begins",
        "segments, line 3: 'a 2 x' is not: recording start end",
        "segments, line 4: 'a' is not: recording start end",
        f"segments, line 5: the recording z is not in {tmp_path / 'wav.scp'}",
        "wav.scp, line 2: commands are not executed: 'rm -rf / |'; write its output to a file and name that (taken for",
        "wav.scp, line 3: feats.ark:17 is in an archive of Kaldi",
        f"segments, line 8: u8 is not in {tmp_path / 'text'}",
        "segments, line 9: the segment 3–9 s is not inside",
        "wav.scp, line 4: no audio file",
        f"text, line 3: v2 is not in {tmp_path / 'segments'}",
    ):
        assert part in message, part
    (cut,) = manifest.read(tmp_path, skip_bad=10)
    assert cut.id == "u1" and "and are left out" in caplog.text


def test_refusals(tmp_path: Path, text: Write) -> None:
    text(tmp_path / "wav.scp", "a a.wav", "a b.wav")
    with pytest.raises(InputError, match=r"has a wav.scp, but no file 'text'"):
        manifest.read(tmp_path)
    text(tmp_path / "text", "a one")
    with pytest.raises(InputError, match=r"wav.scp, line 2: a stands on line 1 too"):
        manifest.read(tmp_path)
    text(tmp_path / "wav.scp", "a missing.wav")
    with pytest.raises(InputError, match=r"wav.scp, line 1: .*missing.wav does not exist"):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("flac -c -d -s /x/a.flac", "/x/a.flac"),
        ("flac -cd 'x y.flac'", "x y.flac"),
        ("/usr/bin/sox /x/a.mp3 -t wav -", "/x/a.mp3"),
        ("sox -t sph a.wv1 -r 16k -b 16 -c 1 -t wav - rate 16k", "a.wv1"),
        ("ffmpeg -nostdin -v error -i a.m4a -f wav -ar 16000 -ac 1 -", "a.m4a"),
        ("ffmpeg -i a.m4a -f wav pipe:1", "a.m4a"),
        ("sph2pipe -f wav -p a.sph", "a.sph"),
        ("cat a.wav", "a.wav"),
        ("sph2pipe -f wav -p -c 1 a.sph", None),  # one channel
        ("sox a.wav -t wav - remix 1", None),
        ("sox a.wav -t wav - trim 10 5", None),
        ("sox a.wav b.wav -t wav -", None),
        ("sox a.wav b.wav", None),
        ("sox --combine merge a.wav -t wav -", None),
        ("ffmpeg -ss 10 -i a.m4a -f wav -", None),
        ("ffmpeg -i a.m4a -i b.m4a -f wav -", None),
        ("ffmpeg -i a.m4a -f wav out.wav", None),
        ("flac -c -d --skip=100 a.flac", None),
        ("flac -c -d -", None),
        ("cat a.wav b.wav", None),
        ("cat a.wav; rm b.wav", None),
        ("cat $(ls)", None),
        ("cat a.flac | flac -cd -", None),
        ("gunzip -c a.wav.gz", None),
        ("cat 'a.wav", None),
        ("", None),
    ],
)
def test_commands(command: str, file: str | None) -> None:
    assert file_of_command(command) == file
