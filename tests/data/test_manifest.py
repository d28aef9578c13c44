"""Manifests of every kind are read, and every damaged one is refused with its file and line."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.data import manifest
from asr.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files: a.wav (1 s, 8 kHz) and s1/b.flac (2 s, 16 kHz, stereo)."""
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    (tmp_path / "s1").mkdir()
    soundfile.write(tmp_path / "s1" / "b.flac", np.zeros((32000, 2)), 16000)
    return tmp_path


def table(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def cut_line(path: Path, **changes: object) -> str:
    record = manifest.make_cut("x", path, "hello", "s1").to_dict()
    return json.dumps({**record, **changes})


def described(cuts: list) -> list[tuple]:
    return [(cut.id, manifest.text(cut), manifest.speaker(cut), cut.start, cut.duration) for cut in cuts]


def test_make_cut_describes_a_segment_of_a_file(folder: Path) -> None:
    cut = manifest.make_cut("u", folder / "s1" / "b.flac", "hi", "s1", start=0.5, duration=1.0, phones="hh ay")
    assert described([cut]) == [("u", "hi", "s1", 0.5, 1.0)]
    assert manifest.phones(cut) == "hh ay"
    assert manifest.audio_path(cut) == str(folder / "s1" / "b.flac")
    assert (cut.recording.sampling_rate, cut.recording.num_samples, cut.recording.duration) == (
        16000,
        32000,
        2.0,
    )
    assert cut.features is None


def test_make_cut_of_sphinx_features(tmp_path: Path) -> None:
    values = np.arange(13 * 50, dtype=">f4")
    file = tmp_path / "u.mfc"
    file.write_bytes(np.array(len(values), dtype=">i4").tobytes() + values.tobytes())
    cut = manifest.make_cut("u", None, "hi", "s1", features=file)
    assert cut.features.storage_path == str(file)
    assert manifest.audio_path(cut) is None
    assert (cut.duration, cut.features.num_frames, cut.features.num_features) == (0.5, 50, 13)
    manifest.write([cut], tmp_path / "m.jsonl")
    assert manifest.read(tmp_path / "m.jsonl") == [cut]
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"u\.mfc: not a Sphinx feature file"):
        manifest.make_cut("u", None, "hi", features=file)


@pytest.mark.parametrize(
    ("start", "duration"), [(0.5, 0.6), (-0.1, 0.5), (1.0, None), (0.2, -0.1), (float("nan"), None)]
)
def test_a_segment_outside_the_file_is_refused(folder: Path, start: float, duration: float | None) -> None:
    with pytest.raises(InputError, match=r"segment .*a\.wav"):
        manifest.make_cut("u", folder / "a.wav", "hi", start=start, duration=duration)


def test_a_rounded_end_is_clipped_to_the_file(folder: Path) -> None:
    assert manifest.make_cut("u", folder / "a.wav", "hi", start=0.5, duration=0.52).duration == 0.5


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz"])
def test_written_cuts_come_back_and_bytes_repeat(folder: Path, name: str) -> None:
    cuts = [
        manifest.make_cut("a", folder / "a.wav", "él dijo «sí»", "s0", custom={"age": 7}),
        manifest.make_cut("b", folder / "s1" / "b.flac", "", start=0.25, phones="p b", gender="f"),
    ]
    assert manifest.write(cuts, folder / "out" / name)
    first = (folder / "out" / name).read_bytes()
    read = manifest.read(folder / "out" / name)
    assert read == cuts
    assert not manifest.write(read, folder / "out" / name)
    (folder / "out" / name).unlink()
    assert manifest.write(read, folder / "out" / name)
    assert (folder / "out" / name).read_bytes() == first
    assert [file.name for file in (folder / "out").iterdir()] == [name]


def test_audio_below_the_manifest_moves_with_it(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("elsewhere") / "c.wav"
    soundfile.write(outside, np.zeros(8000), 8000)
    cuts = [manifest.make_cut("b", folder / "s1" / "b.flac", "x"), manifest.make_cut("c", outside, "y")]
    manifest.write(cuts, folder / "m.jsonl")
    sources = [json.loads(line)["recording"]["sources"][0]["source"] for line in (folder / "m.jsonl").open()]
    assert sources == ["s1/b.flac", str(outside)]
    moved = folder.rename(folder.with_name("moved"))
    assert manifest.audio_path(manifest.read(moved / "m.jsonl")[0]) == str(moved / "s1" / "b.flac")


@pytest.mark.parametrize("name", ["m.txt", "m.csv"])
def test_write_refuses(folder: Path, name: str) -> None:
    cut = manifest.make_cut("a", folder / "a.wav", "x")
    with pytest.raises(InputError, match=r"the name of a manifest ends in \.jsonl"):
        manifest.write([cut], folder / name)
    with pytest.raises(InputError, match="no utterances"):
        manifest.write([], folder / "m.jsonl")
    with pytest.raises(InputError, match="two utterances have the id 'a'"):
        manifest.write([cut, cut], folder / "m.jsonl")
    (folder / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        manifest.write([cut], folder / "file" / "m.jsonl")


def test_summary(folder: Path) -> None:
    cuts = [manifest.make_cut("a", folder / "a.wav", "x", "s"), manifest.make_cut("b", folder / "a.wav", "x")]
    assert manifest.summary(cuts) == (2 / 3600, 1, 2)


def test_nemo(folder: Path) -> None:
    lines = [
        {"audio_filepath": "a.wav", "duration": 1.0, "text": " Hello   there "},
        {
            "audio_filepath": str(folder / "s1/b.flac"),
            "offset": 0.5,
            "duration": 0.75,
            "text": "x",
            "speaker": 7,
            "id": "n",
        },
        {"audio_filepath": "s1/b.flac", "offset": 1.25, "duration": 0.75, "text": ""},
    ]
    path = table(folder / "m.json", *map(json.dumps, lines), "")
    assert described(manifest.read(path)) == [
        ("a", "Hello there", "", 0.0, 1.0),
        ("n", "x", "7", 0.5, 0.75),
        ("s1/b-0001250", "", "", 1.25, 0.75),
    ]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("m.csv", ["Path,Sentence,Speaker,duration", 'a.wav,"one, two",s0,', "", "s1/b.flac,three,,1.5"]),
        ("m.tsv", ["transcript\twav\tspeaker\tduration", "one, two\ta.wav\ts0\t", "three\ts1/b.flac\t\t1.5"]),
        ("m.csv", ["\ufefffile,text,speaker,duration", "a.wav,  one,,,"]),
    ],
)
def test_tables(folder: Path, name: str, lines: list[str]) -> None:
    path = table(folder / name, *lines)
    if len(lines) == 2:  # an unquoted comma gives one column too many
        with pytest.raises(InputError, match=r"m\.csv, line 2: 5 columns where the header has 4 \(quote"):
            manifest.read(path)
        return
    assert described(manifest.read(path)) == [
        ("a", "one, two", "s0", 0.0, 1.0),
        ("s1/b", "three", "", 0.0, 1.5),
    ]
    compressed = path.with_name(name + ".gz")
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    assert described(manifest.read(compressed)) == described(manifest.read(path))


def test_quotation_marks_are_text_in_tsv(folder: Path) -> None:
    path = table(folder / "m.tsv", "path\tsentence", 'a.wav\t"No', "s1/b.flac\tYes")
    assert [manifest.text(cut) for cut in manifest.read(path)] == ['"No', "Yes"]


def test_folder_of_audio_and_text(folder: Path) -> None:
    table(folder / "a.txt", "Hello", "there")
    table(folder / "s1" / "b.TXT", "x")
    (folder / "s1" / "._b.flac").write_bytes(b"what another system leaves")
    table(folder / "README.txt", "no audio beside this")
    assert described(manifest.read(folder)) == [
        ("a", "Hello there", "", 0.0, 1.0),
        ("s1/b", "x", "s1", 0.0, 2.0),
    ]
    (folder / "s1" / "b.TXT").unlink()
    with pytest.raises(InputError, match=r"1 audio files have no \.txt beside them: s1/b\.flac"):
        manifest.read(folder)


def test_two_audio_files_of_one_name_are_a_duplicate(folder: Path) -> None:
    soundfile.write(folder / "a.flac", np.zeros(80), 8000)
    table(folder / "a.txt", "Hello")
    table(folder / "s1" / "b.txt", "x")
    with pytest.raises(InputError, match=r"a\.wav: the id 'a' was used already \(.*a\.flac\)"):
        manifest.read(folder)


def test_relative_paths_may_start_at_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "lists").mkdir()
    path = table(folder / "lists" / "m.jsonl", '{"audio": "a.wav", "text": "x"}')
    monkeypatch.chdir(folder)
    assert manifest.audio_path(manifest.read(path)[0]) == str(folder / "a.wav")


ROW = '{"audio": "a.wav", "text": "x"}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.jsonl", "", r"m\.jsonl: is empty"),
        ("m.csv", "", r"m\.csv: is empty"),
        ("m.csv", "audio,text\n", r"m\.csv: is empty"),
        ("m.xml", ROW, r"m\.xml: unknown format of a manifest .*\.jsonl"),
        ("m", ROW, r"m: unknown format of a manifest"),
        ("m.gz", ROW, r"m\.gz: unknown format of a manifest"),
        ("m.jsonl", ROW + "\n{oops\n", r"1 of 2 utterances cannot be read .*:\n  line 2: not JSON"),
        ("m.jsonl", "[1, 2]\n", r"line 1: expected a JSON object, not '1'\n  line 1: expected a JSON object, not '2'"),
        ("m.jsonl", '{"text": "x"}', r"line 1: no audio_filepath, audio, .* among the keys text"),
        (
            "m.jsonl",
            '{"audio": "a.wav"}',
            r"line 1: no text, transcript, sentence, transcription, normalized_text, raw_text or txt among the keys",
        ),
        ("m.jsonl", '{"audio": "a.wav", "text": [3]}', r"line 1: text is \[3\], expected text"),
        ("m.jsonl", '{"audio": "", "text": "x"}', r"line 1: the name of the audio file is empty"),
        ("m.jsonl", ROW + "\n\n" + ROW, r"line 3: the id 'a' was used already \(.*line 1\)"),
        ("m.jsonl", ROW[:-1] + ', "duration": -1}', r"line 1: duration is -1, expected seconds above 0"),
        ("m.jsonl", ROW[:-1] + ', "duration": 0}', r"line 1: duration is 0, expected seconds above 0"),
        ("m.jsonl", ROW[:-1] + ', "duration": NaN}', r"line 1: duration is nan, expected seconds"),
        ("m.jsonl", ROW[:-1] + ', "duration": "long"}', r"line 1: duration is 'long', expected seconds"),
        ("m.jsonl", ROW[:-1] + ', "duration": 1.5}', r"line 1: the segment 0–1.5 s is not inside .*a\.wav"),
        ("m.jsonl", ROW[:-1] + ', "offset": -0.5}', r"line 1: the segment -0.5–1 s is not inside"),
        (
            "m.csv",
            "audio,words\na.wav,x\n",
            r"line 1: no column text, transcript, sentence, transcription, normalized_text, raw_text or txt in the",
        ),
        ("m.csv", "a.wav,x\n", r"line 1: no column audio_filepath, audio, "),
        ("m.csv", "audio,text\na.wav\n", r"line 2: 1 columns where the header has 2"),
        (
            "m.csv",
            'audio,text\na.wav,"x\n',
            r"m\.csv, line 2: the quotation mark that begins a cell here is not closed",
        ),
        ("m.csv.gz", "audio,text\na.wav\n", r"m\.csv\.gz, line 2: 1 columns where the header has 2"),  # not compressed
        ("m.jsonl", ROW.replace("a.wav", "m.jsonl"), r"m\.jsonl, line 1: .*m\.jsonl"),
    ],
)
def test_damaged_manifests(folder: Path, name: str, content: str, message: str) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        manifest.read(folder / name)


def test_missing_audio_is_counted_and_listed(folder: Path) -> None:
    rows = [json.dumps({"audio": f"none{n}.wav", "text": "x"}) for n in range(7)]
    path = table(folder / "m.jsonl", ROW, *rows)
    with pytest.raises(InputError, match="7 of 8 utterances cannot be read") as caught:
        manifest.read(path)
    message = str(caught.value)
    assert "line 2: " in message and "none6.wav does not exist" in message


@pytest.mark.parametrize("name", ["m.jsonl", "m.tsv"])
def test_not_utf8_names_the_line(folder: Path, name: str) -> None:
    (folder / name).write_bytes(ROW.encode() + b"\n" + '{"audio": "é"}'.encode("latin-1"))
    with pytest.raises(InputError, match=rf"{name}, line 2: not UTF-8"):
        manifest.read(folder / name)


def test_truncated_gzip(folder: Path) -> None:
    (folder / "m.jsonl.gz").write_bytes(gzip.compress(ROW.encode() * 100)[:-20])
    with pytest.raises(InputError, match=r"m\.jsonl\.gz: the compressed file is damaged or cut short"):
        manifest.read(folder / "m.jsonl.gz")


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such manifest or folder"):
        manifest.read(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="has no audio files"):
        manifest.read(tmp_path)


def test_damaged_cuts(folder: Path) -> None:
    audio = folder / "a.wav"
    record = json.loads(cut_line(audio))
    recording, supervision = record["recording"], record["supervisions"][0]
    source = recording["sources"][0]
    faults: list[tuple[dict[str, Any], str]] = [
        (
            {"supervisions": [supervision, {**supervision, "id": "y"}]},
            "has 2 supervisions.*trim_to_supervisions",
        ),
        ({"supervisions": []}, "has 0 supervisions, expected exactly one$"),
        ({"supervisions": [{**supervision, "text": None}]}, "has no text"),
        ({"supervisions": [{"text": "x"}]}, "not a Lhotse cut"),
        ({"type": "MixedCut"}, "a Lhotse MixedCut, expected a MonoCut"),
        ({"duration": -1.0}, "not a Lhotse cut|duration of cut x is -1"),
        ({"duration": 1.5}, "segment 0–1.5 s of a recording of 1 s"),
        ({"recording": None}, "not a Lhotse cut|neither a recording nor features"),
        ({"recording": {**recording, "sources": [{**source, "type": "url"}]}}, "not of one audio file"),
        (
            {"recording": {**recording, "sources": [{**source, "channels": [0, 1]}], "channel_ids": [0, 1]}},
            "2 channels",
        ),
        (
            {"recording": {**recording, "sources": [{**source, "source": "/none.wav"}]}},
            "line 1: /none.wav does not exist",
        ),
    ]
    for changes, message in faults:
        path = table(folder / "cuts.jsonl", cut_line(audio, **changes))
        with pytest.raises(InputError, match=message):
            manifest.read(path)
    path = table(folder / "cuts.jsonl", json.dumps(recording))
    with pytest.raises(InputError, match="line 1: a Lhotse recording or supervision, expected a MonoCut"):
        manifest.read(path)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["m.jsonl", "m.csv", "m.tsv", "m.jsonl.gz"]))
def test_any_bytes_give_cuts_or_an_input_error(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=name):
            manifest.read(path)


@settings(max_examples=50, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_any_text_survives(text: str, speaker: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        soundfile.write(Path(folder) / "a.wav", np.zeros(80), 8000)
        cut = manifest.make_cut("u", Path(folder) / "a.wav", text, speaker)
        manifest.write([cut], Path(folder) / "m.jsonl.gz")
        assert manifest.read(Path(folder) / "m.jsonl.gz") == [cut]


def test_file_names_that_are_not_utf8(folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    (folder / "a.wav").rename(folder / name)
    cut = manifest.make_cut("x", folder / name, "é")
    manifest.write([cut], folder / "m.jsonl")
    assert manifest.read(folder / "m.jsonl") == [cut]
    assert manifest.audio_path(cut) == str(folder / name)
