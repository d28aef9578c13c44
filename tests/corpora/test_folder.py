"""One's own recordings: splits by a hash, segments of annotation files, and utterances that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asr import corpora
from asr.corpora._splits import hold_out_fractions
from asr.data import manifest
from asr.errors import InputError

Write = Callable[..., Path]


def recordings(folder: Path, sound: Write, text: Write, speakers: str, count: int) -> Path:
    for who in speakers:
        for number in range(count):
            sound(folder / who / f"{number:03}.wav", seconds=0.1)
            text(folder / who / f"{number:03}.txt", "open the door")
    return folder


def split_sizes(folder: Path, output: Path, **options: object) -> dict[str, int]:
    return {s.name: s.summary.utterances for s in corpora.prepare("folder", folder, output, options=options)}


def test_whole_speakers_are_held_out_where_there_are_several(tmp_path: Path, sound: Write, text: Write) -> None:
    folder = recordings(tmp_path / "in", sound, text, "abcdefgh", 3)
    sizes = split_sizes(folder, tmp_path / "out", dev="10%", test=0.1)
    assert list(sizes) == ["train", "dev", "test"] and sum(sizes.values()) == 24
    people = [{manifest.speaker(c) for c in manifest.read(tmp_path / "out" / f"{s}.jsonl.gz")} for s in sizes]
    assert all(people) and len(set.union(*people)) == sum(map(len, people)) == 8


def test_utterances_are_held_out_where_speakers_are_few(tmp_path: Path, sound: Write, text: Write) -> None:
    folder = recordings(tmp_path / "in", sound, text, "ab", 50)
    sizes = split_sizes(folder, tmp_path / "out", dev="10%", test="10 %")
    assert sum(sizes.values()) == 100 and 4 <= sizes["dev"] <= 17 and 4 <= sizes["test"] <= 17
    test = {cut.id for cut in manifest.read(tmp_path / "out" / "test.jsonl.gz")}
    recordings(folder, sound, text, "ab", 60)  # others do not move those
    split_sizes(folder, tmp_path / "out", dev="10%", test="10%")
    assert test <= {cut.id for cut in manifest.read(tmp_path / "out" / "test.jsonl.gz")}
    assert split_sizes(folder, tmp_path / "out", dev=0.2).keys() == {"train", "dev"}
    assert split_sizes(folder, tmp_path / "out").keys() == {"all"}


@pytest.mark.parametrize("count", range(3, 12))
def test_no_split_is_empty(count: int) -> None:
    for speakers in ({str(n): "" for n in range(count)}, {str(n): f"s{n}" for n in range(count)}):
        splits, _ = hold_out_fractions(speakers, {"test": 0.1, "dev": 0.1})
        assert set(splits.values()) == {"train", "dev", "test"} and splits.keys() == speakers.keys()


def test_shares_that_cannot_be(tmp_path: Path, sound: Write, text: Write) -> None:
    folder = recordings(tmp_path / "in", sound, text, "a", 2)
    for options, message in (
        ({"dev": "60%", "test": 0.5}, "no share is left to train on"),
        ({"dev": "-1%"}, "dev=-1%: expected a share"),
        ({"dev": 0.1, "test": 0.1}, "2 utterances are too few for train and test and dev"),
        ({"skip_bad": "x"}, "skip_bad='x': expected a number of utterances"),
    ):
        with pytest.raises(InputError, match=message):
            split_sizes(folder, tmp_path / "out", **options)


BAD = (
    "audio,text,start,duration",
    "a.wav,one,0,0.5",
    "a.wav,two,0.1,9",
    "none.wav,three,,",
    "a.wav,four,0.2,0.1,",
    "a.wav,five,x,",
)


def test_all_bad_rows_are_named_at_once(tmp_path: Path, sound: Write, text: Write) -> None:
    sound(tmp_path / "a.wav")
    table = text(tmp_path / "m.csv", *BAD)
    with pytest.raises(
        InputError, match=r"4 of 5 utterances cannot be read \(asr prepare folder --skip-bad 4 "
    ) as error:
        split_sizes(table, tmp_path / "out")
    for row in (
        rf"line 3: the segment 0.1–9.1 s is not inside {tmp_path}/a.wav \(0.50 s\)",
        rf"line 4: {tmp_path}/none.wav does not exist",
        "line 5: 5 columns where the header has 4",
        "line 6: start is 'x', expected seconds",
    ):
        error.match(row)


def test_bad_rows_are_left_out_up_to_a_limit(
    tmp_path: Path, sound: Write, text: Write, caplog: pytest.LogCaptureFixture
) -> None:
    sound(tmp_path / "a.wav")
    table = text(tmp_path / "m.csv", *BAD)
    with pytest.raises(InputError, match=r"4 of 5 utterances cannot be read \(more than 3\):\n  line 3: "):
        split_sizes(table, tmp_path / "out", skip_bad=3)
    assert split_sizes(table, tmp_path / "out", skip_bad=4) == {"all": 1}
    assert "4 of 5 utterances cannot be read and are left out:\n  line 3: " in caplog.text
    with pytest.raises(InputError, match="no utterance is left"):
        split_sizes(text(tmp_path / "m.csv", BAD[0], *BAD[2:]), tmp_path / "out", skip_bad=4)


def test_files_without_a_readable_text_are_bad_too(tmp_path: Path, sound: Write, text: Write) -> None:
    folder = recordings(tmp_path / "in", sound, text, "a", 4)
    (folder / "a" / "001.txt").unlink()
    (folder / "a" / "002.txt").write_bytes(b"caf\xe9")
    assert split_sizes(folder, tmp_path / "out", skip_bad=2) == {"all": 2}
    with pytest.raises(InputError, match="2 of 4 utterances cannot be read") as error:
        split_sizes(folder, tmp_path / "out", skip_bad=1)
    error.match(r"001\.wav: no \.txt beside it")
    error.match(r"002\.txt, line 1: not UTF-8 text")


def test_empty_texts_are_named(tmp_path: Path, sound: Write, text: Write, caplog: pytest.LogCaptureFixture) -> None:
    folder = recordings(tmp_path / "in", sound, text, "a", 2)
    text(folder / "a" / "001.txt", " ")
    split_sizes(folder, tmp_path / "out")
    assert "1 of 2 utterances have no text, the first is a/001" in caplog.text


def test_paths_below_the_working_directory_are_relative(
    tmp_path: Path, sound: Write, text: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings(tmp_path / "project" / "recordings", sound, text, "a", 1)
    monkeypatch.chdir(tmp_path / "project")
    split_sizes(Path("recordings"), Path("data/mine"))
    moved = (tmp_path / "project").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    (cut,) = manifest.read(moved / "data" / "mine" / "all.jsonl.gz")
    assert manifest.audio_path(cut) == str(moved / "recordings" / "a" / "000.wav")


def test_annotations_beside_the_audio_are_its_segments(tmp_path: Path, sound: Write, text: Write) -> None:
    sound(tmp_path / "in" / "anna" / "talk.wav", seconds=3)
    text(tmp_path / "in" / "anna" / "talk.srt", "1", "00:00:00,500 --> 00:00:01,250", "Open", "the door", "")
    (cut,) = manifest.read(tmp_path / "in")
    assert (cut.id, cut.start, cut.duration) == ("anna/talk-0000500", 0.5, 0.75)
    assert (manifest.text(cut), manifest.speaker(cut)) == ("Open the door", "anna")
    (cut,) = manifest.read(tmp_path / "in" / "anna" / "talk.srt")  # the file alone
    assert (cut.id, cut.start, manifest.speaker(cut)) == ("talk-0000500", 0.5, "")
    text(tmp_path / "in" / "anna" / "talk.srt", "1", "00:00:02,500 --> 00:00:04,250", "Open", "the door", "")
    with pytest.raises(InputError, match=r"talk\.srt, line 2: the segment 2.5–4.25 s is not inside .*talk\.wav"):
        manifest.read(tmp_path / "in")


def test_a_table_in_the_folder_is_pointed_to(tmp_path: Path, sound: Write, text: Write) -> None:
    sound(tmp_path / "a.wav")
    text(tmp_path / "texts.csv", "audio,text", "a.wav,one")
    with pytest.raises(InputError, match=r"1 audio files have no \.txt beside them: a\.wav; there is texts\.csv"):
        manifest.read(tmp_path)


def test_lists_of_words_and_segments_beside_the_audio(tmp_path: Path, sound: Write, text: Write) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        sound(tmp_path / "in" / "anna" / name, seconds=4.0)
    text(tmp_path / "in" / "anna" / "a.ctm", "a 1 0.50 0.20 open", "a 1 0.80 0.20 it", "a 1 2.50 0.50 no")
    text(tmp_path / "in" / "anna" / "b.stm", "b 1 bea 0.5 1.5 <o,f0,female> open the door", "c 1 carl 1 2 not here")
    text(tmp_path / "in" / "anna" / "c.txt", "0.5\t1.5\tone", "2.0\t3.0\ttwo")
    cuts = manifest.read(tmp_path / "in")
    assert [(cut.id, cut.start, manifest.text(cut), manifest.speaker(cut)) for cut in cuts] == [
        ("anna/a-0000400", 0.4, "open it", "anna"),
        ("anna/a-0002400", 2.4, "no", "anna"),
        ("anna/b-0000500", 0.5, "open the door", "bea"),
        ("anna/c-0000500", 0.5, "one", "anna"),
        ("anna/c-0002000", 2.0, "two", "anna"),
    ]
    text(tmp_path / "in" / "anna" / "c.txt", "0.5\t1.5\tone", "2.0\t2.0\tpoint", "3.0\t9.0\tlong")
    with pytest.raises(
        InputError, match=r"2 of 6 utterances (.|\n)*c.txt, line 3: the seg(.|\n)*c.txt, line 2: the label"
    ):
        manifest.read(tmp_path / "in")
    assert len(manifest.read(tmp_path / "in", skip_bad=2)) == 4
    text(tmp_path / "in" / "anna" / "b.stm", "x 1 bea 0.5 1.5 open", "y 1 carl 1 2 not here")
    with pytest.raises(InputError, match=r"b.stm: has no segments of b, but those of x, y"):
        manifest.read(tmp_path / "in")


def test_one_file_with_the_segments_of_several_recordings(tmp_path: Path, sound: Write, text: Write) -> None:
    for name in ("a.wav", "b.flac"):
        sound(tmp_path / name, seconds=4.0)
    stm = text(tmp_path / "all.stm", "b 1 bea 0.5 1.5 one", "a 1 ann 1 2 two", "b 1 bea 2 3 three")
    cuts = manifest.read(stm)
    assert [(cut.id, manifest.speaker(cut)) for cut in cuts] == [
        ("b-0000500", "bea"),
        ("b-0002000", "bea"),
        ("a-0001000", "ann"),
    ]
    labels = text(tmp_path / "a.txt", "0.5\t1.5\tone")
    assert [cut.id for cut in manifest.read(labels)] == ["a-0000500"]
    labels.unlink()
    with pytest.raises(
        InputError, match=r"2 audio files have no .txt beside them: a.wav, b.flac; there is all.stm: if it"
    ):
        manifest.read(tmp_path)
    text(tmp_path / "all.stm", "b 1 bea 0.5 1.5 one", "c 1 ann 1 2 two")
    with pytest.raises(InputError, match=r"all.stm: no audio file of the same name beside it: c"):
        manifest.read(stm)
