"""Forced alignment of texts: words at their times, pronunciations that fit, the command, what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.decoding.ctc.alignment import align_hypothesis
from asr.decoding.hypothesis import Alignment
from asr.errors import InputError
from asr.features import FilterBank
from asr.inference.decoders.aligner import Aligner
from asr.inference.decoders.factory import make_aligner
from asr.inference.recognizer import Recognizer
from asr.modules.encoder import Encoder
from asr.tasks.ctc import CTCTask
from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import Vocabulary

PHONES = Vocabulary.phones(["p", "t", "ey", "ah", "m", "ow"])
LEXICON = "tomato  t ah m ey t ow\ntomato(2)  t ah m ah t ow\nmop  m ah p\nup  ah p\n"


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    (tmp_path / "lexicon.txt").write_text(LEXICON)
    return tmp_path / "lexicon.txt"


def peaky(labels: list[int], size: int, frames_each: int = 3) -> np.ndarray:
    """Log-probabilities of a network that is rather sure to hear ``labels``, each for some frames."""
    scores = np.full((len(labels) * frames_each, size), 0.1 / (size - 1))
    scores[np.arange(len(scores)), np.repeat(labels, frames_each)] = 0.9
    return np.log(scores)


def times_of(text: str, seed: int, rate: int = 8000) -> list[tuple[float, float]]:
    """When each word of ``tones(text, seed)`` begins and ends."""
    rng = np.random.default_rng(seed)
    now, words = 400, []
    for word in text.split(" "):
        first = now
        for _ in word:
            now += int(rate * rng.uniform(0.07, 0.1)) + 160
        words.append((first / rate, (now - 160) / rate))
        now += int(rate * rng.uniform(0.07, 0.1)) + 160  # the blank behind it
    return words


def test_words_are_found_where_they_were_said(trained: Recognizer, tones: Any, tone_texts: Any) -> None:
    for seed, text in enumerate(tone_texts(8)):
        found = trained.align(tones(text, seed), f"  {text.upper()} !\n")
        assert [word.text for word in found.words] == text.upper().split()
        for word, (start, end) in zip(found.words, times_of(text, seed), strict=True):
            assert word.start == pytest.approx(start, abs=0.06)
            assert word.end == pytest.approx(end, abs=0.06)


def test_equals_the_best_path_of_the_whole_label_sequence(trained: Recognizer) -> None:
    vocabulary = trained.vocabulary
    text = "ac ce a"
    rng = np.random.default_rng(0)
    scores = np.log(rng.dirichlet(np.ones(len(vocabulary)), 60))
    (found,), (short,) = Aligner(vocabulary, text).search(np.stack([scores, scores]), np.array([60, 12]))
    assert found.labels == tuple(vocabulary.encode(text))
    expected = align_hypothesis(scores, vocabulary.encode(text), vocabulary.blank)
    assert (found.score, found.frames, found.confidence) == (expected.score, expected.frames, expected.confidence)
    assert short.frames == align_hypothesis(scores[:12], vocabulary.encode(text), vocabulary.blank).frames
    assert [(found.labels[first:end]) for _, first, end in found.words] == [
        tuple(vocabulary.encode(word)) for word in text.split()
    ]


def test_silence_is_the_edges() -> None:
    vocabulary = Vocabulary.characters(" abc", boundary_spaces=True)
    said = [1, 1, 1, 2, 3, 1, 4, 1, 1]
    aligner = Aligner(vocabulary, "ab c")
    found = aligner.align(peaky(said, len(vocabulary), frames_each=1))
    assert found.labels == (1, 2, 3, 1, 4, 1)
    assert found.frames == ((0, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 9))
    assert aligner.words(found) == [("ab", 1, 3), ("c", 4, 5)]


def test_the_head_made_for_times_aligns(tones: Any) -> None:
    """Without being asked to: the other one knows no c."""
    features = FilterBank(8000, num_mels=10, deltas=0, normalization="utterance")
    vocabularies = {"text": Vocabulary.characters(" ab"), "times": Vocabulary.characters(" abc", boundary_spaces=True)}
    task = CTCTask(features, Encoder(features.dim, 6), vocabularies, blank_penalties={"times": 1.5})
    model = Recognizer(task)
    found = model.align(tones("ac ca"), "ac ca").words
    assert found == model.align(tones("ac ca"), "ac ca", head="times").words
    assert [word.text for word in found] == ["ac", "ca"] and found[0].start > 0
    with pytest.raises(InputError, match=r"cannot be written.*'ac', 'ca'"):
        model.align(tones("ac ca"), "ac ca", head="text")


@pytest.mark.parametrize("said", ["t ey m", "t ah m ey t ow", "t ah m ah t ow"])
def test_the_pronunciation_that_fits_is_taken(lexicon: Path, said: str) -> None:
    aligner = make_aligner(PHONES, "Mop, tomato-up!", lexicon)
    assert [len(variants) for variants in aligner.variants] == [1, 1]
    aligner = make_aligner(PHONES, "mop Tomato up", lexicon)
    scores = peaky(PHONES.encode(f"m ah p {said} ah p"), len(PHONES))
    found = aligner.align(scores)
    wanted = "t ah m ah t ow" if said == "t ah m ah t ow" else "t ah m ey t ow"
    assert PHONES.decode(found.labels) == f"m ah p {wanted} ah p"
    assert [name for name, _, _ in aligner.words(found)] == ["mop", "Tomato", "up"]
    feed = aligner.start()
    for frame in range(0, len(scores), 5):
        feed.feed(scores[frame : frame + 5])
    assert feed.finish() == [found] and feed.frames == len(scores)


def test_what_cannot_be_aligned(lexicon: Path, trained: Recognizer, tones: Any) -> None:
    with pytest.raises(InputError, match="need a pronunciation dictionary"):
        Aligner(PHONES, "mop")
    with pytest.raises(InputError, match=r"words of the text are not in the pronunciation dictionary.*'cat', 'dog'"):
        make_aligner(PHONES, "cat dog", lexicon)
    with pytest.raises(InputError, match="for a head of phones"):
        make_aligner(trained.vocabulary, "ac", lexicon)
    with pytest.raises(InputError, match="no word"):
        Aligner(trained.vocabulary, " ! \n")
    with pytest.raises(InputError, match="cannot be written with the labels of the model: 'z', '3'"):
        Aligner(trained.vocabulary, "z 3")
    with pytest.raises(
        InputError, match=r"too long for the recording: its \d+ labels need \d+ frames, of which there are \d+"
    ):
        trained.align(tones("ac"), "acdefgh " * 40)


def test_the_command(asr: Callable[..., Any], tone_run: Path, tmp_path: Path, tones: Any) -> None:
    wav, text, out = tmp_path / "a.wav", tmp_path / "a.txt", tmp_path / "out.ctm"
    soundfile.write(wav, tones("ac cd", 1), 8000)
    text.write_text("Ac\nCD.\n")
    outcome = asr("align", wav, text, "--model", tone_run)
    assert outcome.status == 0, outcome.err
    words = json.loads(outcome.out)["words"]
    assert [word["text"] for word in words] == ["Ac", "CD."]
    assert words[0]["end"] <= words[1]["start"]
    piped = asr("align", "-", text, "--model", tone_run, stdin=wav.read_bytes())
    assert json.loads(piped.out)["words"] == words
    assert asr("align", wav, "-", "--model", tone_run, "--output", out, "--format", "ctm", stdin=b"ac cd").status == 0
    assert out.read_text().splitlines()[1].startswith("a 1 ")
    asr("align", wav, wav, "--model", tone_run).check_refusal("a.wav, line 1: not UTF-8")
    asr("align", wav, tmp_path / "b.txt", "--model", tone_run).check_refusal("b.txt")
    asr("align", tmp_path / "b.wav", text, "--model", tone_run).check_refusal("b.wav")
    asr("align", "-", "-", "--model", tone_run).check_refusal("both be standard input")
    asr("align", wav, text, "--model", tone_run, "--format", "x").check_refusal("format='x' is not one of txt")
    asr("align", wav, text, "--model", tone_run, "--head", "x").check_refusal("no head 'x'; it has text")
    text.write_text("acdefgh " * 40)
    asr("align", wav, text, "--model", tone_run).check_refusal(
        "a.wav: the text is too long for the recording: .* frames"
    )


LETTERS = Vocabulary("characters", ("<blank>", " ", *"abcdefghijklmnopqrstuvwxyz"), TextNormalizer.english())
SPOKEN = "?open three the do?or and cafe?"  # ? is a blank


def spoken(text: str = SPOKEN, vocabulary: Vocabulary = LETTERS) -> np.ndarray:
    return peaky([0 if c == "?" else vocabulary.tokens.index(c) for c in text], len(vocabulary))


def aligned(text: str, log_probs: np.ndarray | None = None) -> tuple[Alignment, list[tuple[str, int, int]]]:
    aligner = Aligner(LETTERS, text)
    alignment = aligner.align(spoken() if log_probs is None else log_probs)
    frames = alignment.frames
    return alignment, [(word, frames[first][0], frames[end - 1][1]) for word, first, end in aligner.words(alignment)]


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("open 3 the door & café", ["3", "&"]),
        ("open three the door & cafe", ["&"]),
        ("open 3 the do.or and кафе", ["3", "кафе"]),
        ("50% three the door and 日本", ["50%", "日本"]),
        ("open 3 50% door and café", ["3", "50%"]),
        ("open three 1 2 3 cafe", ["1", "2", "3"]),
    ],
)
def test_words_that_cannot_be_written_are_between_their_neighbors(text: str, odd: list[str]) -> None:
    alignment, words = aligned(text)
    assert [word for word, _, _ in words] == text.split()
    real = {word: (start, end) for word, start, end in aligned(SPOKEN.replace("?", ""))[1]}
    for (_, _, end), (_, start, _) in pairwise(words):
        assert end <= start
    for number, (word, start, end) in enumerate(words):
        assert start < end
        if word not in odd:
            plain = word.replace("é", "e").replace(".", "")
            assert abs(start - real[plain][0]) <= 3 and abs(end - real[plain][1]) <= 3
        elif 0 < number < len(words) - 1:  # all the time between the neighbors is that of the odd words
            before, after = words[number - 1], words[number + 1]
            assert start == before[2] and end == after[1]
    (warning,) = alignment.warnings
    assert warning.startswith(f"{len(odd)} words cannot be written with the labels of the model")
    assert all(repr(word) in warning for word in odd)
    assert alignment.fits


def test_a_vocabulary_that_skips_what_it_lacks() -> None:
    vocabulary = Vocabulary("characters", LETTERS.tokens, LETTERS.normalization, "skip")
    aligner = Aligner(vocabulary, "open 3 the door & caf\u00e9")
    alignment = aligner.align(spoken())
    assert [word for word, _, _ in aligner.words(alignment)] == ["open", "3", "the", "door", "&", "caf\u00e9"]
    assert "'3', '&'" in alignment.warnings[0]


def test_words_without_a_pronunciation(lexicon: Path) -> None:
    aligner = make_aligner(PHONES, "mop cat up", lexicon)
    alignment = aligner.align(peaky(PHONES.encode("m ah p t ey t ah p"), len(PHONES)))
    times = [(alignment.frames[f][0], alignment.frames[e - 1][1]) for _, f, e in aligner.words(alignment)]
    assert times[0][1] == times[1][0] and times[1][1] == times[2][0]
    assert np.abs(np.array(times) - [(0, 9), (9, 18), (18, 24)]).max() <= 3
    assert "are not in the pronunciation dictionary" in alignment.warnings[0] and "'cat'" in alignment.warnings[0]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("open three the door and cafe", True),
        ("open three the boor and cafe", True),
        ("butter on bread", False),
        ("open", False),
        ("a cat sat on the mat over there", False),
        ("cafe and door the three open", False),
    ],
)
def test_a_text_that_was_not_spoken_is_reported(text: str, fits: bool) -> None:
    alignment, _ = aligned(text)
    assert alignment.fits is fits
    assert any("the text does not fit the recording" in warning for warning in alignment.warnings) is not fits


@pytest.mark.parametrize("frames", [60, 600])
def test_silence_is_not_a_text(frames: int) -> None:
    scores = np.full((frames, len(LETTERS)), 1e-4)
    scores[:, 0] = 1 - 1e-4 * (len(LETTERS) - 1)
    assert not aligned("open the door", np.log(scores))[0].fits


@pytest.mark.parametrize("where", [0, SPOKEN.index(" and"), len(SPOKEN)], ids=["before", "within", "after"])
def test_long_silence_only_shifts_words(where: int) -> None:
    text = SPOKEN.replace("?", "")
    alignment, words = aligned(text, spoken(SPOKEN[:where] + "?" * 3000 + SPOKEN[where:]))
    assert alignment.fits and alignment.warnings == ()
    for (word, start, end), (_, own_start, own_end) in zip(words, aligned(text)[1], strict=True):
        shift = 9000 if own_start >= 3 * where else 0
        assert (start, end) == (own_start + shift, own_end + shift), word


def test_words_that_are_repeated() -> None:
    alignment, words = aligned("open open open", spoken("open open open"))
    assert alignment.fits and [(start, end) for _, start, end in words] == [(0, 12), (15, 27), (30, 42)]
    assert not aligned("open open open", spoken("open the door and cafe"))[0].fits
    assert not aligned("open", spoken("open open open"))[0].fits
    with pytest.raises(InputError, match="its 2 labels need 3 frames, of which there are 2"):
        Aligner(LETTERS, "aa").align(spoken("a")[:2])


def test_a_word_that_was_not_spoken_is_named() -> None:
    sure = np.log(np.maximum(np.exp(spoken("?" + "the cat sat on the mat and " * 5 + "?")) * 1.111 - 0.111, 1e-5))
    sure -= np.logaddexp.reduce(sure, axis=1, keepdims=True)
    right = "the cat sat on the mat and " * 5
    assert aligned(right, sure)[0].warnings == ()
    alignment, _ = aligned(right.replace("the cat", "the ugliest", 1), sure)
    assert alignment.fits and "1 words do not fit" in alignment.warnings[0] and "'ugliest'" in alignment.warnings[0]


@pytest.fixture
def corpus(tmp_path: Path, tones: Any) -> Path:
    folder = tmp_path / "corpus"
    (folder / "b").mkdir(parents=True)
    for name, text, seed in (("one", "Ac 3 cd", 1), ("b/two", "fa ge", 2), ("b/wrong", "dag gade", 3)):
        spoken_text = "cafe dad fed" if name == "b/wrong" else text.lower().replace("3 ", "")
        soundfile.write(folder / f"{name}.wav", tones(spoken_text, seed), 8000)
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_a_folder(
    asr: Callable[..., Any],
    tone_run: Path,
    tmp_path: Path,
    corpus: Path,
    tones: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "out"
    outcome = asr("align", corpus, "--model", tone_run, "--output-dir", out, "--format", "json,TextGrid")
    assert outcome.status == 0, outcome.err
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*")) == [
        *("b/two.TextGrid", "b/two.json", "b/wrong.TextGrid", "b/wrong.json", "one.TextGrid", "one.json")
    ]
    one = json.loads((out / "one.json").read_text())
    assert [word["text"] for word in one["words"]] == ["Ac", "3", "cd"] and one["fits"] is True
    assert "one.wav: 1 words cannot be written" in caplog.text
    assert "wrong.wav: the text does not fit the recording" in caplog.text and "two.wav" not in caplog.text
    assert json.loads((out / "b/wrong.json").read_text())["fits"] is False
    asr("align", corpus, "--model", tone_run, "--output-dir", out).check_refusal("outputs exist already")
    again = asr("align", corpus, "--model", tone_run, "--output-dir", out, "--skip-existing")
    assert again.status == 0 and "3 of 3 files had their outputs already" in again.err
    soundfile.write(corpus / "mute.wav", tones("ac", 1), 8000)
    (corpus / "empty.wav").write_bytes(b"")
    (corpus / "empty.txt").write_text("ac")
    strict = asr("align", corpus, "--model", tone_run, "--output-dir", tmp_path / "other", "--strict")
    assert strict.status == 1 and "3 of 5 files failed" in strict.err
    assert "mute.wav: no .txt beside it" in strict.err and "which --strict refuses" in strict.err
    assert sorted(path.name for path in (tmp_path / "other").rglob("*.json")) == ["one.json", "two.json"]
    asr("align", corpus, "--model", tone_run).check_refusal("--output-dir for a folder or manifest")


def test_a_manifest(asr: Callable[..., Any], tone_run: Path, tmp_path: Path, corpus: Path) -> None:
    table = corpus / "table.csv"
    table.write_text("audio,text\none.wav,ac cd\nb/two.wav,fa ge\n")
    outcome = asr("align", table, "--model", tone_run, "--output-dir", tmp_path / "out", "--format", "ctm")
    assert outcome.status == 0, outcome.err
    assert len((tmp_path / "out" / "b" / "two.ctm").read_text().splitlines()) == 2


def test_segments_have_the_times_of_their_recording(
    asr: Callable[..., Any], tone_run: Path, tmp_path: Path, tones: Any
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    said = [("ann", "ac cd"), ("bob", "fa ge"), ("ann", "da")]
    waves = [tones(text, seed) for seed, (_, text) in enumerate(said)]
    starts = [0.5]
    for wave in waves:
        starts.append(starts[-1] + len(wave) / 8000 + 0.5)
    talk = np.concatenate([part for wave in waves for part in (np.zeros(4000, np.float32), wave)])
    soundfile.write(folder / "talk.flac", talk, 8000)
    ends = [start + len(wave) / 8000 for start, wave in zip(starts, waves, strict=False)]
    stm = [
        f"talk 1 {who} {start:.4f} {end:.4f} {text}\n"
        for (who, text), start, end in zip(said, starts, ends, strict=False)
    ]
    (folder / "talk.stm").write_text("".join(stm))
    assert asr("prepare", "folder", folder, "--output", tmp_path / "data").status == 0
    formats = ("--output-dir", out, "--format", "json,ctm,TextGrid,srt")
    outcome = asr("align", tmp_path / "data" / "all.jsonl.gz", "--model", tone_run, *formats)
    assert outcome.status == 0, outcome.err
    ann, bob = json.loads((out / "talk.json").read_text())
    assert (ann["speaker"], ann["text"], bob["speaker"], bob["text"]) == ("ann", "ac cd da", "bob", "fa ge")
    assert ann["duration"] == pytest.approx(len(talk) / 8000, abs=1e-3)
    expected = []
    for start, wave, (_, text) in zip(starts, waves, said, strict=False):
        soundfile.write(tmp_path / "part.flac", wave, 8000)
        (tmp_path / "part.txt").write_text(text)
        alone = asr("align", tmp_path / "part.flac", tmp_path / "part.txt", "--model", tone_run)
        expected += [(word["text"], word["start"] + start) for word in json.loads(alone.out)["words"]]
    lines = [line.split() for line in (out / "talk.ctm").read_text().splitlines()]
    assert [line[4] for line in lines] == [text for text, _ in expected]  # in order of time
    assert [float(line[2]) for line in lines] == pytest.approx([start for _, start in expected], abs=2e-3)
    grid = (out / "talk.TextGrid").read_text()
    assert re.findall(r'name = "(.*)"', grid) == ["ann - words", "bob - words"]
    assert "[bob] fa ge" in (out / "talk.srt").read_text()
    # of the folder, with a segment that is too short for its text
    (folder / "talk.stm").write_text("".join([*stm, "talk 1 bob 0.1 0.15 acdefgh\n"]))
    failing = asr("align", folder, "--model", tone_run, "--output-dir", tmp_path / "again", "--format", "ctm")
    assert failing.status == 1
    assert "talk.flac: 1 of 4 segments cannot be aligned (the others are done):\n" in failing.err
    assert "talk.flac, 0.10–0.15 s: the text is too long for the recording: " in failing.err
    assert "1 of 1 files failed" in failing.err
    assert (tmp_path / "again" / "talk.ctm").read_text() == (out / "talk.ctm").read_text()


def test_a_wrong_text_and_gaps(
    asr: Callable[..., Any], tone_run: Path, corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = asr("align", corpus / "b/wrong.wav", corpus / "b/wrong.txt", "--model", tone_run, "--format", "TextGrid")
    assert wrong.status == 0 and "the text does not fit the recording" in caplog.text
    strict = asr("align", corpus / "b/wrong.wav", corpus / "b/wrong.txt", "--model", tone_run, "--strict")
    assert strict.status == 1 and not strict.out
    right = [corpus / "b/two.wav", corpus / "b/two.txt", "--model", tone_run, "--strict"]
    words = json.loads(asr("align", *right).out)["words"]
    assert words[0]["end"] < words[1]["start"]
    closed = json.loads(asr("align", *right, "--close-gaps", "0.5").out)["words"]
    assert closed[0]["end"] == closed[1]["start"]
