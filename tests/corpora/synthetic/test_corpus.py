"""The synthetic corpus: times, determinism, disjoint voices; and the copy that ships with the repository."""

from __future__ import annotations

import importlib.util
import io
import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import MonoCut

from asr import audio
from asr.corpora.synthetic import _espeak, corpus
from asr.corpora.synthetic._espeak import EVENT_PHONEME, EVENT_WORD, Event, Voice
from asr.data import manifest
from asr.errors import InputError

RECIPE = Path(__file__).parents[3] / "recipes" / "digits"
SHIPPED = RECIPE / "data"
GRAMMAR = "<sentence> = <digit>{2,3} | call me\n<digit> = one | eight | six\n"
SMALL: dict[str, Any] = {"voices": 4, "dev_voices": 1, "test_voices": 1, "utterances": 8}

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="speaks with espeak-ng: pip install espeakng-loader",
)


def words_of(grammar: str) -> set[str]:
    """All words of a grammar: what is neither a rule's name, a mark nor a comment."""
    text = re.sub(r"#.*|<[^<>]*>|\{[^{}]*\}", " ", grammar)
    return set(re.findall(r"[a-z']+", text))


def words_and_phones(text: str, *marks: tuple[int | str, int]) -> list[Event]:
    """Events from (position of a word or label of a phone, ms) in the order espeak-ng gives them."""
    rate = _espeak.SAMPLE_RATE / 1000
    events = []
    for mark, time in marks:
        kind, position, label = (EVENT_WORD, mark, "") if isinstance(mark, int) else (EVENT_PHONEME, 0, mark)
        events.append(Event(kind, int(position), round(time * rate), label))
    return events


def timeline(text: str, *marks: tuple[int | str, int]) -> tuple[str, list[tuple[str, float, float]]]:
    """Phones as one line of ``label end`` in ms, and the words."""
    phones, words = corpus.timeline(text, words_and_phones(text, *marks), 0.1, 1.0)
    return " ".join(f"{label} {end * 1000:.0f}" for label, _, end in phones), words


def test_stop_takes_its_closure_within_speech_but_not_after_a_pause() -> None:
    phones, words = timeline(
        "two to", (0, 0), ("t", 50), ("ˈuː", 100), (4, 200), ("t", 250), ("ə", 300), ("", 400), ("", 407)
    )
    assert phones == "sil 150 t 200 uː 300 t 400 ə 500 sil 1000"
    assert words == [("two", 0.15, 0.3), ("to", 0.3, 0.5)]


def test_vowel_after_a_nasal_begins_the_word() -> None:
    phones, words = timeline("in it", (0, 0), ("ɪ", 0), ("n", 100), (3, 100), ("ɪ", 180), ("t", 250), ("", 300))
    assert phones == "sil 100 ɪ 200 n 280 ɪ 350 t 400 sil 1000"
    assert words == [("in", 0.1, 0.28), ("it", 0.28, 0.4)]


def test_liquid_without_time_takes_a_third() -> None:
    phones, words = timeline("all six", (0, 0), ("ɔː", 0), ("l", 300), (4, 300), ("s", 310), ("", 400))
    assert phones == "sil 100 ɔː 300 l 400 s 500 sil 1000"
    assert words == [("all", 0.1, 0.4), ("six", 0.4, 0.5)]


def test_words_spoken_as_one_share_an_entry() -> None:
    marks = ((0, 0), ("k", 0), (4, 100), ("ʌ", 100), ("v", 200), (11, 300), ("m", 310), ("", 400))
    _, words = timeline("all of the me", *marks)
    assert [word for word, _, _ in words] == ["all", "of the", "me"]
    with pytest.raises(ValueError, match="no pause at the end of 'all'"):
        timeline("all", (0, 0), ("l", 0))


@given(st.integers(500, 20000), st.integers(3000, 15000), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_times_hold_after_resampling_padding_and_gain(onset: int, length: int, seed: int) -> None:
    samples = np.zeros(onset + length + 1000, dtype=np.int16)
    tone = 8000 * np.sin(2 * np.pi * 1000 * np.arange(length) / _espeak.SAMPLE_RATE)
    samples[onset : onset + length] = tone.astype(np.int16)
    events = [Event(EVENT_WORD, 0, 0, ""), Event(EVENT_PHONEME, 0, onset, "ɑː")]
    utterance = corpus.record("a", samples, [*events, Event(7, 0, onset + length, "")], Random(seed))
    [(_, _, start), (_, _, end), (_, _, duration)] = utterance.phones
    assert utterance.words == [("a", start, end)]
    assert round(duration * 16000) == len(utterance.waveform) and len(utterance.waveform) % 160 == 0
    loud = np.flatnonzero(np.abs(utterance.waveform) > 0.7 * np.abs(utterance.waveform).max()) / 16000
    assert loud[0] == pytest.approx(start, abs=0.002)
    assert loud[-1] == pytest.approx(end, abs=0.002)
    assert 0.1 < np.abs(utterance.waveform).max() <= 1


@given(st.integers(0, 10**6), st.integers(1, 200), st.integers(0, 10), st.integers(0, 15))
@settings(max_examples=50, deadline=None)
def test_no_voice_comes_twice(seed: int, train: int, dev: int, test: int) -> None:
    voices = corpus.make_voices(seed, train + dev + test, dev, test)
    names = [corpus.speaker_name(voice) for voice in voices]
    assert len(set(names)) == len(names) == train + dev + test
    assert len({voice.accent for voice in voices}) == min(len(voices), len(_espeak.ACCENTS))
    assert len({voice.variant for voice in voices}) == min(len(voices), len(corpus.VARIANTS))


def test_serial_number_makes_opus_reproducible() -> None:
    waveform = np.sin(np.arange(40000) / 20).astype(np.float32)
    files = []
    for _ in range(2):
        buffer = io.BytesIO()
        soundfile.write(buffer, waveform, 16000, "OPUS", format="OGG")
        files.append(buffer.getvalue())
    fixed = [corpus.with_serial_number(file, 7) for file in files]
    assert files[0] != files[1] and fixed[0] == fixed[1]
    # Putting the old number back restores the old checksums too, which libogg computed.
    old = int.from_bytes(files[0][14:18], "little")
    assert corpus.with_serial_number(fixed[0], old) == files[0]


def test_long_paths_are_shortened(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    (folder / "phontab").write_text("data")
    assert _espeak.short_path("/short", str(tmp_path)) == "/short"
    link = _espeak.short_path(str(folder), str(tmp_path))
    assert len(link) < len(str(folder)) and (Path(link) / "phontab").read_text() == "data"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audio_format": "mp3"}, "audio_format is 'mp3': accepted are flac, opus, wav"),
        ({"utterances": "many"}, "utterances is 'many': accepted are whole numbers from 1"),
        ({"dev_voices": -1}, "dev_voices is -1"),
        ({"jobs": 0}, "jobs is 0"),
        ({"voices": 5, "utterances": 4}, "4 utterances are fewer than 5 voices"),
        ({"voices": 3, "dev_voices": 2, "test_voices": 1}, "at least one for training"),
        ({"voices": 10_000, "utterances": 10_000}, "accepted are up to"),
        ({"examples": 13}, "13 examples are more than 12 test voices"),
        ({"grammar": "none.txt"}, r"none\.txt: cannot be read"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        corpus.prepare(tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"espeakng-loader: pip install 'asr-recurrent\[synthetic\]'"):
        _espeak.speak(Voice("en-us", "m1", 160, 50, 50), ["one"])


@needs_espeak
def test_unknown_voices_are_refused() -> None:
    with pytest.raises(InputError, match="accent='en-xx' is not one of en-gb, "):
        _espeak.speak(Voice("en-xx", "m1", 160, 50, 50), ["one"])
    with pytest.raises(InputError, match=r"en-us\+nobody: unknown variant 'nobody'"):
        _espeak.speak(Voice("en-us", "nobody", 160, 50, 50), ["one"])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[MonoCut]]]:
    root = tmp_path_factory.mktemp("synthetic")
    (root / "rules.txt").write_text(GRAMMAR)
    return root, corpus.prepare(root, grammar=root / "rules.txt", examples=1, **SMALL)


def check_times(cut: MonoCut) -> None:
    """Phones tile the cut and agree with ``phones``; words are the text's, in order, and hold the phones."""
    custom = cut.supervisions[0].custom
    labels, starts, ends = zip(*custom["phone_times"], strict=True)
    assert " ".join(labels) == custom["phones"] and labels[0] == labels[-1] == "sil"
    assert starts[0] == 0 and ends[-1] == pytest.approx(cut.duration, abs=1e-6)
    assert list(starts[1:]) == list(ends[:-1])
    assert all(start < end for start, end in zip(starts, ends, strict=True))
    words, word_starts, word_ends = zip(*custom["word_times"], strict=True)
    assert " ".join(words) == manifest.text(cut)
    assert word_starts[0] == starts[1] and word_ends[-1] == starts[-1]
    assert all(end <= start for end, start in zip(word_ends, word_starts[1:], strict=False))
    assert {*word_starts, *word_ends} <= {*starts, *ends}


def check_energy(cut: MonoCut) -> None:
    """Quiet before the first phone and behind the last one, loud between them."""
    waveform = audio.read(manifest.audio_path(cut) or "", 16000, start=cut.start, duration=cut.duration)
    assert len(waveform) == round(cut.duration * 16000)
    times = cut.supervisions[0].custom["phone_times"]
    first, last = round(times[0][2] * 16000), round(times[-1][1] * 16000)
    speech = np.sqrt(np.mean(waveform[first:last] ** 2))
    assert np.sqrt(np.mean(waveform[: first - 160] ** 2)) < speech / 4
    echo = 1600
    assert np.sqrt(np.mean(waveform[last + echo :] ** 2)) < speech / 4


@needs_espeak
def test_small_corpus(small: tuple[Path, dict[str, list[MonoCut]]]) -> None:
    root, splits = small
    assert {name: len(cuts) for name, cuts in splits.items()} == {"train": 4, "dev": 2, "test": 2}
    speakers = {name: {manifest.speaker(cut) for cut in cuts} for name, cuts in splits.items()}
    assert len(set.union(*speakers.values())) == 4
    for cut in (cut for cuts in splits.values() for cut in cuts):
        check_times(cut)
        check_energy(cut)
        assert set(manifest.text(cut).split()) <= words_of(GRAMMAR)
    text = (root / "example-1.txt").read_text()
    assert text.endswith("\n") and set(text.split()) <= words_of(GRAMMAR)
    assert audio.info(root / "example-1.flac").sample_rate == 16000


@needs_espeak
def test_same_seed_same_bytes(small: tuple[Path, dict[str, list[MonoCut]]], tmp_path: Path) -> None:
    root, splits = small
    again = corpus.prepare(tmp_path, grammar=root / "rules.txt", examples=1, jobs=1, **SMALL)
    other = corpus.prepare(tmp_path / "other", grammar=root / "rules.txt", seed=1, **SMALL)
    for name, cuts in splits.items():
        for folder, those in ((root, cuts), (tmp_path, again[name]), (tmp_path / "other", other[name])):
            manifest.write(those, folder / f"{name}.jsonl.gz")
        first, second, third = (
            (folder / f"{name}.jsonl.gz").read_bytes() for folder in (root, tmp_path, tmp_path / "other")
        )
        assert first == second != third
    files = sorted(path.relative_to(root) for path in root.rglob("*.flac"))
    assert len(files) == 5
    assert all((root / file).read_bytes() == (tmp_path / file).read_bytes() for file in files)


@pytest.fixture(scope="module")
def shipped() -> dict[str, list[MonoCut]]:
    return {name: manifest.read(SHIPPED / f"{name}.jsonl.gz") for name in ("train", "dev", "test")}


def test_shipped_corpus_is_what_its_readme_says(shipped: dict[str, list[MonoCut]]) -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) <= 6_000_000
    summaries = {name: manifest.summary(cuts) for name, cuts in shipped.items()}
    readme = (SHIPPED / "README.md").read_text()
    for name, (hours, speakers, utterances) in summaries.items():
        assert f"| {name} | {speakers} | {utterances} | {hours * 60:.1f} |" in readme
    assert summaries["train"].speakers >= 60 and summaries["test"].speakers >= 10
    assert 45 <= sum(summary.hours for summary in summaries.values()) * 60 <= 70


def test_shipped_voices_are_disjoint(shipped: dict[str, list[MonoCut]]) -> None:
    voices = {name: {manifest.speaker(cut) for cut in cuts} for name, cuts in shipped.items()}
    assert not voices["train"] & (voices["dev"] | voices["test"]) | voices["dev"] & voices["test"]


def test_shipped_cuts_hold_their_utterances(shipped: dict[str, list[MonoCut]]) -> None:
    words = words_of((RECIPE / "grammar.txt").read_text(encoding="utf-8"))
    ends: dict[str | None, float] = {}
    for cut in (cut for cuts in shipped.values() for cut in cuts):
        check_times(cut)
        assert set(manifest.text(cut).split()) <= words
        path = manifest.audio_path(cut)
        assert cut.start == pytest.approx(ends.get(path, 0.0), abs=1e-6)
        ends[path] = cut.end
    assert words == {word for cut in shipped["train"] for word in manifest.text(cut).split()}
    for cut in Random(0).sample(shipped["train"] + shipped["test"], 10):
        check_energy(cut)
    for number in (1, 2):
        assert 0.5 < audio.info(SHIPPED / f"example-{number}.opus").duration < 10
        assert set((SHIPPED / f"example-{number}.txt").read_text().split()) <= words
