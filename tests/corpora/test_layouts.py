"""Every corpus is read from a tiny copy of its publisher's layout, and what is missing from it is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asr.corpora import an4, fsdd, librispeech, ljspeech, speechocean762, timit
from asr.corpora import folder as folder_corpus
from asr.data.manifest import audio_path, phones, speaker
from asr.data.manifest import text as transcript
from asr.errors import InputError

Write = Callable[..., Path]


def ids(splits: dict[str, list]) -> dict[str, list[str]]:
    return {name: [cut.id for cut in cuts] for name, cuts in splits.items()}


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".opus"])
@pytest.mark.parametrize("below", [".", "LibriSpeech"])
def test_librispeech(tmp_path: Path, sound: Write, text: Write, suffix: str, below: str) -> None:
    for subset, person in (("dev-clean", "84"), ("train-clean-100", "19")):
        chapter = tmp_path / below / subset / person / "7"
        text(chapter / f"{person}-7.trans.txt", f"{person}-7-0000 GO ON", f"{person}-7-0001 STOP")
        sound(chapter / f"{person}-7-0000{suffix}")
        sound(chapter / f"{person}-7-0001{suffix}")
    splits = librispeech.prepare(tmp_path)
    assert ids(splits) == {
        "dev-clean": ["84-7-0000", "84-7-0001"],
        "train-clean-100": ["19-7-0000", "19-7-0001"],
    }
    cut = splits["dev-clean"][0]
    assert (transcript(cut), speaker(cut), phones(cut)) == ("GO ON", "84", None)
    assert abs(cut.duration - 0.5) < 0.1


def test_librispeech_reports_what_does_not_match(
    tmp_path: Path, sound: Write, text: Write, caplog: pytest.LogCaptureFixture
) -> None:
    chapter = tmp_path / "dev-clean" / "84" / "7"
    text(chapter / "84-7.trans.txt", "84-7-0000 GO", "84-7-0001 STOP", "84-7-0002 WAIT")
    with pytest.raises(InputError, match="none of 3 transcripts belongs to one of 0 audio files"):
        librispeech.prepare(tmp_path)
    sound(chapter / "84-7-0000.flac")
    sound(chapter / "84-7-0000.opus")  # a second copy of the same
    sound(chapter / "84-7-0009.flac")
    splits = librispeech.prepare(tmp_path)
    assert ids(splits) == {"dev-clean": ["84-7-0000"]}
    assert (audio_path(splits["dev-clean"][0]) or "").endswith(".flac")
    assert "2 transcripts without audio were left out (the first: 84-7-0001)" in caplog.text
    assert "1 audio files without transcript were left out (the first: 84-7-0009)" in caplog.text


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (librispeech, "no LibriSpeech here"),
        (speechocean762, "no speechocean762 here"),
        (an4, "no AN4 here"),
        (timit, "no TIMIT here"),
        (fsdd, "no FSDD here"),
        (ljspeech, r"expected one metadata\.csv"),
        (folder_corpus, "has no audio files"),
    ],
)
def test_another_folder_is_no_corpus(tmp_path: Path, corpus: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        corpus.prepare(tmp_path)  # type: ignore[attr-defined]


@pytest.mark.parametrize("suffix", [".WAV", ".opus"])
@pytest.mark.parametrize("below", [".", "speechocean762"])
def test_speechocean762(tmp_path: Path, sound: Write, text: Write, suffix: str, below: str) -> None:
    home = tmp_path / below
    for part, people in (("train", ["0001", "9616"]), ("test", ["0003"])):
        text(home / part / "text", *(f"0{person}0001\tWE CALL" for person in people))
        text(home / part / "utt2spk", *(f"0{person}0001\t{person}" for person in people))
        # a re-encoded copy may still have the publisher's list
        text(home / part / "wav.scp", *(f"0{p}0001\tWAVE/SPEAKER{p}/0{p}0001.WAV" for p in people))
        text(home / part / "spk2age", *(f"{person}\t{6 if person < '9' else 30}" for person in people))
        text(home / part / "spk2gender", *(f"{person}\tf" for person in people))
        for person in people:
            sound(home / "WAVE" / f"SPEAKER{person}" / f"0{person}0001{suffix}")
    splits = speechocean762.prepare(tmp_path)
    assert ids(splits) == {"train": ["000010001"], "dev": ["096160001"], "test": ["000030001"]}
    child, adult = splits["train"][0].supervisions[0], splits["dev"][0].supervisions[0]
    assert (child.speaker, child.text, child.gender, child.custom) == (
        "0001",
        "WE CALL",
        "f",
        {"age": 6, "child": True},
    )
    assert adult.custom == {"age": 30, "child": False}
    (home / "test" / "utt2spk").write_text("")
    with pytest.raises(InputError, match="utt2spk: no speaker for 000030001"):
        speechocean762.prepare(tmp_path)
    (home / "test" / "utt2spk").unlink()
    with pytest.raises(InputError, match="utt2spk: cannot be read: No such file"):
        speechocean762.prepare(tmp_path)


def an4_lists(home: Path, text: Write) -> None:
    text(home / "etc" / "an4_train.fileids", "an4_clstk/fash/an251-fash-b", "an4_clstk/mwhw/cen2-mwhw-b")
    text(
        home / "etc" / "an4_train.transcription",
        "<s> YES </s> (an251-fash-b)",
        "<s> A(2) M <sil> Y </s> (cen2-mwhw-b)",
    )
    text(home / "etc" / "an4_test.fileids", "an4test_clstk/fcaw/an406-fcaw-b")
    text(home / "etc" / "an4_test.transcription", "RUBOUT G ++noise++ THREE  (an406-fcaw-b)")


AN4_TEXTS = {"train": ["YES"], "dev": ["A M Y"], "test": ["RUBOUT G THREE"]}


@pytest.mark.parametrize("suffix", [".sph", ".wav", ".raw"])
@pytest.mark.parametrize("below", [".", "an4"])
def test_an4_audio(tmp_path: Path, sound: Write, text: Write, suffix: str, below: str) -> None:
    home = tmp_path / below
    an4_lists(home, text)
    for name in (
        "an4_clstk/fash/an251-fash-b",
        "an4_clstk/mwhw/cen2-mwhw-b",
        "an4test_clstk/fcaw/an406-fcaw-b",
    ):
        file = home / "wav" / (name + suffix)
        if suffix == ".raw":
            file.parent.mkdir(parents=True, exist_ok=True)
            np.arange(8000, dtype=">i2").tofile(file)
        else:
            sound(file)
    splits = an4.prepare(tmp_path)
    assert {name: [transcript(cut) for cut in cuts] for name, cuts in splits.items()} == AN4_TEXTS
    cut = splits["dev"][0]
    assert (cut.id, speaker(cut), cut.duration, cut.sampling_rate) == ("cen2-mwhw-b", "mwhw", 0.5, 16000)
    if suffix == ".raw":
        import soundfile

        samples, _ = soundfile.read(audio_path(cut), dtype="int16")
        assert samples.tolist() == list(range(8000))
    assert an4.prepare(tmp_path) == splits


def test_an4_features(tmp_path: Path, text: Write) -> None:
    an4_lists(tmp_path, text)
    for name in (
        "an4_clstk/fash/an251-fash-b",
        "an4_clstk/mwhw/cen2-mwhw-b",
        "an4test_clstk/fcaw/an406-fcaw-b",
    ):
        file = tmp_path / "feat" / f"{name}.mfc"
        file.parent.mkdir(parents=True)
        file.write_bytes(np.array(130, dtype=">i4").tobytes() + np.zeros(130, dtype=">f4").tobytes())
    splits = an4.prepare(tmp_path)
    assert {name: [transcript(cut) for cut in cuts] for name, cuts in splits.items()} == AN4_TEXTS
    cut = splits["test"][0]
    assert cut.features.storage_path == str(tmp_path / "feat/an4test_clstk/fcaw/an406-fcaw-b.mfc")
    assert (cut.duration, cut.num_frames, speaker(cut)) == (0.1, 10, "fcaw")
    text(tmp_path / "etc" / "an4_test.transcription", "RUBOUT G THREE")
    with pytest.raises(InputError, match=r"an4_test\.transcription: expected 'WORDS"):
        an4.prepare(tmp_path)


def timit_sentence(folder: Path, sentence: str, sound: Write, text: Write, upper: bool, form: str) -> None:
    def name(suffix: str) -> Path:
        return folder / ((sentence + suffix).upper() if upper else sentence + suffix)

    sound(name(".wav"), form=form)
    text(name(".phn"), "0 1600 h#", "1600 4000 sh", "4000 8000 h#")
    text(name(".wrd"), "1600 4000 she")
    text(name(".txt"), "0 8000 She had 2 dogs.")


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("form", ["NIST", "WAV"])
def test_timit_ldc(tmp_path: Path, sound: Write, text: Write, upper: bool, form: str) -> None:
    for folder in ("train/dr1/fcjf0", "test/dr1/mdab0", "test/dr1/faks0", "test/dr1/mxxx0"):
        for sentence in ("sa1", "si648"):
            home = tmp_path / (folder.upper() if upper else folder)
            timit_sentence(home, sentence, sound, text, upper, form)
            sound(home / f"{sentence.upper()}.WAV.wav")  # as some copies have beside the SPHERE files
    splits = timit.prepare(tmp_path)
    assert ids(splits) == {"train": ["fcjf0_si648"], "dev": ["faks0_si648"], "test": ["mdab0_si648"]}
    cut = splits["train"][0]
    assert (transcript(cut), speaker(cut), phones(cut)) == ("She had 2 dogs.", "fcjf0", "h# sh h#")
    assert cut.supervisions[0].custom["phone_times"] == [
        ("h#", 0.0, 0.1),
        ("sh", 0.1, 0.25),
        ("h#", 0.25, 0.5),
    ]
    assert cut.supervisions[0].gender == "f"
    labels = next(path for path in tmp_path.rglob("*") if str(path).lower().endswith("fcjf0/si648.phn"))
    labels.write_text("0 1600 h#\n1600 sh\n")
    with pytest.raises(InputError, match=r"(?i)si648\.phn: expected 'start end phone', got '1600 sh'"):
        timit.prepare(tmp_path)


def test_timit_sets_are_those_of_the_paper() -> None:
    assert (len(timit.CORE_TEST), len(timit.DEV), timit.DEV & timit.CORE_TEST) == (24, 50, set())


def test_timit_sample(tmp_path: Path, sound: Write, text: Write) -> None:
    for folder in ("dr1-fvmh0", "dr7-madd0", "dr8-fbcg1"):
        for sentence in ("sa1", "sx5"):
            timit_sentence(tmp_path / folder, sentence, sound, text, upper=False, form="WAV")
    assert ids(timit.prepare(tmp_path)) == {
        "train": ["fvmh0_sx5"],
        "dev": ["madd0_sx5"],
        "test": ["fbcg1_sx5"],
    }


@pytest.mark.parametrize("folder", ["recordings", "free-spoken-digit-dataset-master/recordings"])
@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_fsdd(tmp_path: Path, sound: Write, folder: str, suffix: str) -> None:
    for name in ("0_jackson_4", "7_jackson_5", "9_theo_10", "speech"):
        sound(tmp_path / folder / (name + suffix), rate=8000)
    splits = fsdd.prepare(tmp_path)
    assert {name: [(transcript(cut), speaker(cut)) for cut in cuts] for name, cuts in splits.items()} == {
        "train": [("nine", "theo")],
        "dev": [("seven", "jackson")],
        "test": [("zero", "jackson")],
    }


def test_ljspeech(tmp_path: Path, sound: Write, text: Write) -> None:
    home = tmp_path / "LJSpeech-1.1"
    text(
        home / "metadata.csv",
        "LJ1|Dr. No, in 1914|Doctor No, in nineteen fourteen",
        'LJ2|"quoted"|',
        "LJ3|lost|lost",
    )
    sound(home / "wavs" / "LJ1.opus")
    sound(home / "wavs" / "LJ2.wav")
    for root in (home, tmp_path):
        cuts = ljspeech.prepare(root)["train"]
        assert [(cut.id, transcript(cut), speaker(cut)) for cut in cuts] == [
            ("LJ1", "Doctor No, in nineteen fourteen", "LJSpeech-1.1"),
            ("LJ2", '"quoted"', "LJSpeech-1.1"),
        ]
    text(home / "metadata.csv", "LJ1|one|one", "LJ2 two")
    with pytest.raises(InputError, match=r"metadata\.csv, line 2: expected a new id\|text"):
        ljspeech.prepare(home)


def test_folder(tmp_path: Path, sound: Write, text: Write) -> None:
    sound(tmp_path / "anna" / "1.wav")
    text(tmp_path / "anna" / "1.txt", "hello")
    assert ids(folder_corpus.prepare(tmp_path)) == {"all": ["anna/1"]}
    table = text(tmp_path / "own.csv", "file,text", "anna/1.wav,hello")
    assert ids(folder_corpus.prepare(table)) == {"all": ["anna/1"]}
