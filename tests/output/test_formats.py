from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.output.formats import FORMATS, render
from asr.output.paths import output_paths, write_text_atomic
from asr.output.transcript import Transcript, Word, close_gaps

TEXTS = st.text("abcdé'<>&\"", min_size=1, max_size=12)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Words in the order of time, in whole milliseconds, some of them touching."""
    words, clock = [], 0
    for text in draw(st.lists(TEXTS, max_size=40)):
        clock += draw(st.sampled_from([0, 5, 80, 600, 601, 2500, 3_600_000]))
        start, clock = clock, clock + draw(st.integers(1, 9000))
        confidence = draw(st.integers(0, 1000)) / 1000
        words.append(Word(text, start / 1000, clock / 1000, confidence))
    duration = (clock + draw(st.integers(0, 500))) / 1000
    return Transcript(" ".join(word.text for word in words), tuple(words), duration, source="a b/c d.wav")


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.replace(",", ".").split(":")
    assert int(minutes) < 60 and float(rest) < 60 and re.fullmatch(r"\d\d\.\d{3}", rest)
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def parse_cues(text: str) -> list[tuple[float, float, list[str]]]:
    """The cues of srt or vtt: (start, end, lines)."""
    cues = []
    for block in re.split(r"\n\n+", text.strip()):
        lines = block.split("\n")
        at = next((i for i, line in enumerate(lines) if "-->" in line), None)
        if at is not None:
            start, end = lines[at].split(" --> ")
            cues.append((seconds(start), seconds(end), lines[at + 1 :]))
    return cues


def parse_textgrid(text: str) -> list[tuple[float, float, str]]:
    found = re.findall(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "((?:[^"]|"")*)"', text)
    return [(float(first), float(last), label.replace('""', '"')) for first, last, label in found]


HELLO = Transcript(
    "hello brave world",
    (Word("hello", 0.5, 0.9, 0.75), Word("brave", 1.0, 1.4, 0.5), Word("world", 2.1, 2.6, 1.0)),
    duration=3.0,
    confidence=0.75,
    source="talks/my talk.wav",
)
EMPTY = Transcript("", (), 1.5, source="x.wav")


def test_text_of_a_transcript() -> None:
    assert str(HELLO) == "hello brave world"
    assert render(HELLO, "txt") == "hello brave world\n"
    assert render([HELLO, EMPTY, HELLO], "txt") == "hello brave world\n\nhello brave world\n"
    assert render(Transcript("two\nlines", (), 1.0), "txt") == "two lines\n"


def test_json_holds_everything() -> None:
    whole = json.loads(render(HELLO, "json"))
    words = tuple(Word(**word) for word in whole.pop("words"))
    assert Transcript(words=words, **whole) == HELLO
    assert json.loads(render([HELLO], "json")) == [json.loads(render(HELLO, "json"))]
    assert json.loads(render([], "json")) == []


def test_json_takes_numbers_of_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    word = Word("a", numpy.float32(0.25), numpy.float64(0.5), numpy.float32(0.1))
    read = json.loads(render(Transcript("a", (word,), numpy.float32(1.0)), "json"))
    assert read["words"] == [{"text": "a", "start": 0.25, "end": 0.5, "confidence": 0.1}]


def test_subtitles_exactly() -> None:
    later = replace(HELLO, words=(*HELLO.words[:2], Word("world", 3.1, 3.6, 1.0)), duration=4.0)
    assert render(later, "srt") == (
        "1\n00:00:00,500 --> 00:00:01,500\nhello brave\n\n2\n00:00:03,100 --> 00:00:04,000\nworld\n\n"
    )
    assert render(later, "vtt") == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nhello brave\n\n00:00:03.100 --> 00:00:04.000\nworld\n"
    )
    assert render(later, "tsv") == "start\tend\ttext\n500\t1500\thello brave\n3100\t4000\tworld\n"
    assert render(HELLO, "ctm") == (
        "my_talk 1 0.500 0.400 hello 0.7500\nmy_talk 1 1.000 0.400 brave 0.5000\nmy_talk 1 2.100 0.500 world 1.0000\n"
    )


@pytest.mark.parametrize(
    ("time", "clock"),
    [
        (59.9996, "00:01:00,000"),
        (59.9994, "00:00:59,999"),
        (3599.9999, "01:00:00,000"),
        (86399.5, "23:59:59,500"),
        (360000.0, "100:00:00,000"),
    ],
)
def test_clock_rolls_over(time: float, clock: str) -> None:
    content = render(Transcript("a", (Word("a", 0.0, time, 1.0),), time), "srt")
    assert content.split("\n")[1] == f"00:00:00,000 --> {clock}"
    assert clock.replace(",", ".") in render(Transcript("a", (Word("a", 0.0, time, 1.0),), time), "vtt")


@given(st.floats(0, 1e6), st.floats(0, 1e4))
def test_clock_is_within_half_a_millisecond(start: float, length: float) -> None:
    transcript = Transcript("a", (Word("a", start, start + length, 1.0),), start + length)
    for format in ("srt", "vtt"):
        [(first, last, _)] = parse_cues(render(transcript, format))
        assert abs(first - start) < 0.00051
        assert abs(last - (start + length)) < 0.00151 and last > first


@settings(max_examples=50)
@given(transcripts())
def test_subtitle_formats_have_the_same_cues(transcript: Transcript) -> None:
    srt = parse_cues(render(transcript, "srt"))
    assert " ".join(line for _, _, lines in srt for line in lines) == transcript.text
    vtt = parse_cues(render(transcript, "vtt"))
    assert [cue[:2] for cue in vtt] == [cue[:2] for cue in srt]
    for (_, _, plain), (_, _, escaped) in zip(srt, vtt, strict=True):
        text = "\n".join(escaped)
        assert "<" not in text and ">" not in text
        assert text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == "\n".join(plain)
    rows = [line.split("\t") for line in render(transcript, "tsv").splitlines()[1:]]
    assert [(int(a) / 1000, int(b) / 1000, text) for a, b, text in rows] == [
        (start, end, " ".join(lines)) for start, end, lines in srt
    ]


@settings(max_examples=50)
@given(transcripts())
def test_ctm_and_textgrid_hold_all_words(transcript: Transcript) -> None:
    lines = [line.split(" ") for line in render(transcript, "ctm").splitlines()]
    assert all(line[:2] == ["c_d", "1"] for line in lines)
    for line, word in zip(lines, transcript.words, strict=True):
        assert line[4] == word.text and float(line[5]) == word.confidence
        assert float(line[2]) == word.start
        assert float(line[2]) + float(line[3]) == pytest.approx(word.end, abs=1e-6)
    content = render(transcript, "TextGrid")
    intervals = parse_textgrid(content)
    assert int(re.findall(r"intervals: size = (\d+)", content)[0]) == len(intervals)
    assert [(first, last, text) for first, last, text in intervals if text] == [
        (word.start, word.end, word.text) for word in transcript.words
    ]
    assert intervals[0][0] == 0 and intervals[-1][1] >= transcript.duration
    for before, after in pairwise(intervals):
        assert before[1] == after[0]
    assert all(last > first for first, last, _ in intervals)
    assert set(re.findall(r"^ *xmax = (\S+)$", content, re.MULTILINE)[:2]) == {f"{intervals[-1][1]:.3f}"}


def test_overlapping_and_instant_words_still_make_a_valid_textgrid() -> None:
    words = (Word("a", 0.0, 1.0, 1.0), Word("b", 0.5, 0.7, 1.0), Word("c", 1.5, 1.5, 1.0))
    intervals = parse_textgrid(render(Transcript("a b c", words, 1.0), "TextGrid"))
    assert intervals == [(0, 1.0, "a"), (1.0, 1.001, "b"), (1.001, 1.5, ""), (1.5, 1.501, "c")]


def test_phones_have_a_tier() -> None:
    phones = (Word("HH", 0.5, 0.6, 1.0), Word("AH", 0.63, 0.9, 1.0))
    transcript = replace(HELLO, words=HELLO.words[:1], phones=phones, fits=True)
    content = render(transcript, "TextGrid")
    assert re.findall(r'name = "(.*)"', content) == ["words", "phones"]
    assert [interval for interval in parse_textgrid(content) if interval[2]] == [
        (0.5, 0.9, "hello"),
        (0.5, 0.6, "HH"),
        (0.63, 0.9, "AH"),
    ]
    assert [phone["text"] for phone in json.loads(render(transcript, "json"))["phones"]] == ["HH", "AH"]
    assert json.loads(render(transcript, "json"))["fits"] is True
    assert close_gaps(transcript, 0.02) == transcript
    closed = close_gaps(transcript, 0.03)
    assert [(phone.start, phone.end) for phone in closed.phones] == [(0.5, 0.615), (0.615, 0.9)]
    assert close_gaps(HELLO, 0.1).words[0].end == close_gaps(HELLO, 0.1).words[1].start == 0.95
    assert close_gaps(HELLO, 0.1).words[1:][0].end == 1.4  # a pause stays


def test_empty_transcripts_are_valid_files() -> None:
    content = {format: render(EMPTY, format) for format in FORMATS}
    assert (content["txt"], content["srt"], content["ctm"]) == ("\n", "", "")
    assert content["vtt"] == "WEBVTT\n"
    assert content["tsv"] == "start\tend\ttext\n"
    assert json.loads(content["json"])["words"] == []
    assert parse_textgrid(content["TextGrid"]) == [(0, 1.5, "")]
    assert parse_textgrid(render(Transcript("", (), 0.0), "TextGrid")) == [(0, 0.001, "")]


def test_text_without_word_times_is_one_cue() -> None:
    assert parse_cues(render(Transcript("a small cat", (), 2.0), "vtt")) == [(0.0, 2.0, ["a small cat"])]


def test_ctm_names_differ_where_stems_coincide() -> None:
    words = (Word("a", 0.0, 1.0, 1.0),)
    pair = [Transcript("a", words, 1.0, source=source) for source in ("p q/x.wav", "r/x.wav")]
    assert [line.split()[0] for line in render(pair, "ctm").splitlines()] == ["p_q/x", "r/x"]


def test_wrong_formats_and_numbers() -> None:
    with pytest.raises(InputError, match="format='doc' is not one of txt, json, srt"):
        render(HELLO, "doc")
    for format in ("srt", "vtt", "tsv", "TextGrid"):
        with pytest.raises(InputError, match=f"{format} file holds one transcript, not 2"):
            render([HELLO, HELLO], format)
    for times in ((1.0, 0.5), (-0.1, 0.5), (0.0, float("nan")), (0.0, float("inf"))):
        with pytest.raises(ValueError, match="'a' from"):
            Word("a", *times, 1.0)


def test_output_paths_keep_folders_and_disambiguate() -> None:
    out = Path("out")
    assert output_paths(["a/x.wav"], out, "txt") == [out / "x.txt"]
    assert output_paths(["a/x.wav", "b/x.wav"], out, "srt") == [out / "a/x.srt", out / "b/x.srt"]
    assert output_paths(["x.wav", "x.flac", "y.wav"], out, "txt") == [
        out / "x.wav.txt",
        out / "x.flac.txt",
        out / "y.txt",
    ]
    assert output_paths(["d/x.wav", "d/x.flac"], None, "json") == [
        Path("d/x.wav.json"),
        Path("d/x.flac.json"),
    ]
    # x.wav and x.flac move to whole names, of which one would be the short name of x.wav.mp3
    assert output_paths(["x.wav", "x.flac", "x.wav.mp3"], out, "txt") == [
        out / "x.wav.txt",
        out / "x.flac.txt",
        out / "x.wav.mp3.txt",
    ]
    assert output_paths(["a/x.wav", Path("a/../a/x.wav")], out, "txt") == [out / "x.txt"] * 2
    assert output_paths(["-", "/data/x.wav"], out, "txt") == [out / "stdin.txt", out / "x.txt"]
    assert output_paths(["-"], None, "txt") == [Path("stdin.txt")]
    assert output_paths(["x.txt"], None, "txt") == [Path("x.txt.txt")]
    assert output_paths([], out, "txt") == []


NAMES = st.sampled_from(["x", "y", "x.wav", "x.flac", "x.wav.mp3", "x.txt", "x.wav.txt", ".x", "x.wav.flac"])
FOLDERS = st.sampled_from(["", "a/", "b/", "a/b/", "../", "/c/", "x.wav/"])


@given(st.lists(st.builds(lambda folder, name: folder + name, FOLDERS, NAMES)), st.booleans(), st.randoms())
def test_output_paths_never_coincide(inputs: list[str], beside: bool, random: Random) -> None:
    inputs = list({os.path.abspath(path): path for path in inputs}.values())
    output_dir = None if beside else Path("out")
    outputs = output_paths(inputs, output_dir, "txt")
    assert len({os.path.abspath(path) for path in outputs}) == len(inputs)
    assert all(path.suffix == ".txt" for path in outputs)
    by_input = dict(zip(inputs, outputs, strict=True))
    random.shuffle(inputs)
    assert dict(zip(inputs, output_paths(inputs, output_dir, "txt"), strict=True)) == by_input


def test_write_text_atomic(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / ("ü" * 100 + ".txt")
    write_text_atomic(path, "eins\n")
    write_text_atomic(path, "zwei ü\n")
    assert path.read_bytes() == "zwei ü\n".encode()
    assert os.listdir(path.parent) == [path.name]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_write_text_atomic_keeps_nothing_behind_on_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    write_text_atomic(path, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_text_atomic(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["x.txt"]
    with pytest.raises(InputError, match="is not a file"):
        write_text_atomic(tmp_path, "new")


def test_names_that_are_not_unicode_are_written(tmp_path: Path) -> None:
    transcript = Transcript("a", (), 1.0, source=os.fsdecode(b"\xff.wav"))
    write_text_atomic(tmp_path / "x.json", render(transcript, "json"))
    assert json.loads((tmp_path / "x.json").read_text())["source"] == transcript.source


def test_import_is_light() -> None:
    code = "import sys, asr.output.transcript; print([m for m in ('torch', 'numpy', 'soundfile') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
