"""Corpora of classes: folders a class, Google's Speech Commands, digits with one speaker left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asr.corpora import classes, commands, fsdd
from asr.corpora._splits import recording_fraction
from asr.data.manifest import speaker
from asr.data.manifest import text as transcript
from asr.errors import InputError

Write = Callable[..., Path]


def contents(splits: dict[str, list]) -> dict[str, list[tuple[str, str]]]:
    return {name: [(cut.id, transcript(cut)) for cut in cuts] for name, cuts in splits.items()}


# -- folders


def test_splits_by_the_hash_of_names(tmp_path: Path, sound: Write) -> None:
    for name in ("turn left", "yes"):
        for number in range(60):
            sound(tmp_path / name / f"p{number % 30}_nohash_{number // 30}.wav", 0.02)
    sound(tmp_path / "_background_noise_" / "hum.wav")
    splits = classes.prepare(tmp_path, dev=0.2, test=0.3)
    assert {name: transcript(cuts[0]) for name, cuts in splits.items()} == dict.fromkeys(
        ["train", "dev", "test"], "turn left"
    )
    ids = {name: {cut.id for cut in cuts} for name, cuts in splits.items()}
    assert sum(map(len, ids.values())) == 120
    fractions = [recording_fraction(f"speaker{number}_nohash_0") for number in range(2000)]
    assert (
        abs(sum(fraction < 0.3 for fraction in fractions) / 2000 - 0.3) < 0.03
        and 0 <= min(fractions) < max(fractions) < 1
    )
    people = {name: {cut.id.split("/")[1].split("_")[0] for cut in cuts} for name, cuts in splits.items()}
    assert not people["train"] & people["test"] and not people["dev"] & people["test"]
    sound(tmp_path / "yes" / "later.wav", 0.02)  # moves nothing
    again = {
        name: {cut.id for cut in cuts} - {"yes/later"} for name, cuts in classes.prepare(tmp_path, 0.2, 0.3).items()
    }
    assert again == ids
    assert set(classes.prepare(tmp_path, dev=0, test=0)) == {"train"}


@pytest.mark.parametrize("dev", ["dev", "valid"])
def test_splits_that_are_folders(tmp_path: Path, sound: Write, dev: str) -> None:
    for split, name in (("train", "a b"), ("train", "c"), (dev, "c"), ("test", "a b")):
        sound(tmp_path / split / name / "x.flac", 0.02)
    assert contents(classes.prepare(tmp_path)) == {
        "train": [("a b/x", "a b"), ("c/x", "c")],
        "dev": [("c/x", "c")],
        "test": [("a b/x", "a b")],
    }
    sound(tmp_path / "test" / "d" / "x.flac", 0.02)
    with pytest.raises(InputError, match="classes of test that train does not have: d"):
        classes.prepare(tmp_path)


def test_no_classes(tmp_path: Path, sound: Write) -> None:
    with pytest.raises(InputError, match=r"no recordings to train on \(expected .*/CLASS/\*\.wav"):
        classes.prepare(tmp_path)
    for fractions in ((-0.1, 0.1), (0.5, 0.5), ("much", 0.1)):
        with pytest.raises(InputError, match="expected fractions from 0"):
            classes.prepare(tmp_path, *fractions)


# -- Speech Commands

OTHERS = ("bed", "cat")


@pytest.fixture
def speech_commands(tmp_path: Path, sound: Write, text: Write) -> Path:
    home = tmp_path / "speech_commands"
    for word in (*commands.WORDS, *OTHERS):
        for person in ("0a", "0b", "0c", "0d"):
            sound(home / word / f"{person}_nohash_0.wav", 0.02)
    text(home / "validation_list.txt", *(f"{word}/0b_nohash_0.wav" for word in (*commands.WORDS, "bed")))
    text(home / "testing_list.txt", *(f"{word}/0c_nohash_0.wav" for word in (*commands.WORDS, *OTHERS)))
    sound(home / "_background_noise_" / "pink_noise.wav", 10.5)
    return tmp_path


def test_all_words(speech_commands: Path) -> None:
    splits = commands.prepare(speech_commands)
    assert {name: len(cuts) for name, cuts in splits.items()} == {"train": 25, "dev": 11, "test": 12}
    assert {transcript(cut) for cut in splits["train"]} == {*commands.WORDS, *OTHERS}
    assert {name: {speaker(cut) for cut in cuts} for name, cuts in splits.items()} == {
        "train": {"0a", "0b", "0d"},  # cat of 0b is not in the list
        "dev": {"0b"},
        "test": {"0c"},
    }


def test_ten_words_and_silence(speech_commands: Path) -> None:
    splits = commands.prepare(speech_commands, words=10, unknown=0.2, silence=True)
    for split, ten, unknown, silence in (("train", 20, 4, 8), ("dev", 10, 1, 1), ("test", 10, 2, 1)):
        labels = [transcript(cut) for cut in splits[split]]
        assert labels.count("_unknown_") == unknown and labels.count("_silence_") == silence
        assert len(labels) == ten + unknown + silence and len(set(labels)) == 12
    quiet = [cut for cut in splits["test"] if transcript(cut) == "_silence_"]
    assert (quiet[0].id, quiet[0].start, quiet[0].duration) == ("_silence_/pink_noise-9", 9.0, 1.0)
    assert len(commands.prepare(speech_commands, words=10, unknown=0)["dev"]) == 10


def test_what_is_missing_is_named(speech_commands: Path, tmp_path: Path, text: Write) -> None:
    with pytest.raises(InputError, match="words=12 is not one of 10, 35"):
        commands.prepare(speech_commands, words=12)
    with pytest.raises(InputError, match="unknown=-1: expected a fraction"):
        commands.prepare(speech_commands, unknown=-1)
    (speech_commands / "speech_commands" / "_background_noise_" / "pink_noise.wav").unlink()
    with pytest.raises(InputError, match="no background noise here"):
        commands.prepare(speech_commands, silence=True)
    text(speech_commands / "speech_commands" / "validation_list.txt", "bed/0z_nohash_0.wav")
    with pytest.raises(InputError, match=r"validation_list\.txt: bed/0z_nohash_0\.wav does not exist"):
        commands.prepare(speech_commands)
    with pytest.raises(InputError, match=r"expected one testing_list\.txt, found 0"):
        commands.prepare(speech_commands / "speech_commands" / "bed")


# -- digits


def test_one_speaker_of_fsdd_left_out(tmp_path: Path, sound: Write) -> None:
    for name in ("0_jackson_4", "7_jackson_5", "9_theo_10", "3_theo_7", "4_theo_0"):
        sound(tmp_path / f"{name}.wav", rate=8000)
    assert contents(fsdd.prepare(tmp_path, test_speaker="jackson")) == {
        "train": [("4_theo_0", "four"), ("9_theo_10", "nine")],
        "dev": [("3_theo_7", "three")],
        "test": [("0_jackson_4", "zero"), ("7_jackson_5", "seven")],
    }
    with pytest.raises(InputError, match="test_speaker='anna' is not one of jackson, theo"):
        fsdd.prepare(tmp_path, test_speaker="anna")
