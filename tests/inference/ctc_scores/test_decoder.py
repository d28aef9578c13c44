"""asr.Decoder: labels of other toolkits, kinds of scores, batches, streams, hot words."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ctc_paths import random_log_probs

import asr
from asr.errors import InputError
from asr.lm import arpa
from asr.lm.estimate import characters_of, encode_sentences, kneser_ney
from asr.text.alphabet import Alphabet

# as facebook/wav2vec2-base-960h has them
WAV2VEC2 = {label: n for n, label in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"])}
WAV2VEC2_SAID = "32 labels, characters, blank '<pad>' (0), space '|' (4)"
TEXT = ["the cat sat", "the dog sat", "a cat", "the cat ran"]
LABELS = ["<pad>", "<s>", "</s>", "<unk>", "|", *sorted(set("".join(TEXT)) - {" "})]
PHONES = ["_", "dh", "ah", "k", "ae", "t", "d", "ao", "g"]
LEXICON = {"the": ["dh ah"], "cat": ["k ae t"], "dog": "d ao g", "zebra": ["z iy b r ah"]}


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    arpa.write(kneser_ney(encode_sentences([line.split() for line in TEXT]), 2), path)
    return path


def scores(labels: Any, *frames: dict[str, float]) -> np.ndarray:
    """Log-probabilities (T, V) of frames that give some labels a probability; the rest goes to the others."""
    names = list(labels)
    p = np.zeros((len(frames), len(names)))
    for row, frame in zip(p, frames, strict=True):
        row[:] = (1 - sum(frame.values())) / (len(names) - len(frame))
        for label, probability in frame.items():
            row[names.index(label)] = probability
    return np.log(p)


def saying(labels: Any, tokens: Any, p: float = 0.9) -> np.ndarray:
    return scores(labels, *({token: p} for token in tokens))


@pytest.mark.parametrize(
    ("labels", "kind", "blank", "space", "hidden"),
    [
        (WAV2VEC2, "characters", 0, 4, (1, 2, 3)),
        (["[PAD]", "[UNK]", "|", "a", "b"], "characters", 0, 2, (1,)),
        (["-", "|", "E", "T"], "characters", 0, 1, ()),  # torchaudio
        ([*"ab '"], "characters", 4, 2, ()),  # NeMo: blank is behind them
        (["<blank>", "<unk>", "<space>", "a", "<sos/eos>"], "characters", 0, 2, (1, 4)),  # ESPnet
        (["_", " ", "a"], "characters", 0, 1, ()),
        (["", "▁", "a", "b"], "characters", 0, 1, ()),
        (["<blank>", "a", "ch", " "], "characters", 0, 3, ()),
        (["<blk>", "<unk>", "▁", "▁bun", "ny", "_"], "pieces", 0, None, (1,)),
        (["▁bun", "ny", "|"], "pieces", 3, None, ()),
        (["[PAD]", "[CLS]", "bun", "##ny"], "pieces", 0, None, (1,)),
        (PHONES, "tokens", 0, None, ()),
        (["<pad>", "你", "好"], "characters", 0, None, ()),
    ],
)
def test_what_labels_are(labels: Any, kind: str, blank: int, space: int | None, hidden: tuple[int, ...]) -> None:
    found = Alphabet.of(labels)
    assert (found.kind, found.blank, found.space, found.hidden) == (kind, blank, space, hidden)


@pytest.mark.parametrize(
    ("labels", "blank", "space", "said"),
    [
        (WAV2VEC2, "<pad>", "|", f"{WAV2VEC2_SAID}, never written: <s> </s> <unk>"),
        (["", " ", "a"], "", " ", "3 labels, characters, blank '' (0), space ' ' (1)"),
        (np.array([*"ab "]), "<blank>", " ", "4 labels, characters, blank '<blank>' (3), space ' ' (2)"),
        (["[PAD]", "bun", "##ny"], "[PAD]", None, "3 labels, pieces, blank '[PAD]' (0)"),
    ],
)
def test_what_was_found_is_said(
    labels: Any, blank: str, space: str | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        decoder = asr.Decoder(labels)
    assert (decoder.blank, decoder.space) == (blank, space)
    assert decoder.labels[decoder.alphabet.blank] == blank
    assert [record.getMessage() for record in caplog.records] == [said]
    assert str(decoder) == f"<Decoder: {said}; beam 100, reads log_probs>"


def test_labels_that_are_named(tmp_path: Path) -> None:
    decoder = asr.Decoder(["a", "b", "*", "/"], blank="*", space=3)
    assert (decoder.blank, decoder.space) == ("*", "/")
    assert decoder.decode(saying("ab*/", "ab/b")).text == "ab b"
    (tmp_path / "tokens.txt").write_text("<blk> 0\n▁a 2\nb 1\n")
    assert Alphabet.of(tmp_path / "tokens.txt").labels == ("<blk>", "b", "▁a")
    (tmp_path / "vocab.json").write_text('{"<pad>": 0, "a": 1}')
    assert Alphabet.of(str(tmp_path / "vocab.json")).labels == ("<pad>", "a")
    for labels, options, message in (
        (["a", "a"], {}, "'a' is there twice"),
        ([], {}, "there are none"),
        (["a", 1], {}, "1 is not a string"),
        ({"a": 0, "b": 2}, {}, "no label has the number 1; 2 labels have those from 0"),
        (["a", "b"], {"blank": "c"}, "blank='c' is not among the labels 'a', 'b'"),
        (["_", "|", "a"], {"blank": 1, "space": "|"}, r"blank and space are the same label, '\|' \(1\)"),
        (["a", "b"], {"space": 7}, "space=7: use a label's name, or its number from 0 to"),
        (["<pad>", "<s>"], {}, "none of '<pad>', '<s>' is a character, a piece or a word"),
    ):
        with pytest.raises(InputError, match=message):
            asr.Decoder(labels, **options)  # type: ignore[arg-type]


def test_control_symbols_are_never_written() -> None:
    decoder = asr.Decoder(WAV2VEC2)
    tokens = ["<s>", "C", "A", "<unk>", "A", "T", "|", "|", "</s>", "A", "</s>"]
    assert decoder.decode(saying(WAV2VEC2, tokens)).text == "CAAT A"
    # a tokenizer with control symbols that the network has no scores of
    more = {**WAV2VEC2, "<mask>": len(WAV2VEC2), "[CLS]": len(WAV2VEC2) + 1}
    found = asr.Decoder(more).decode(saying(WAV2VEC2, tokens))
    assert found.text == "CAAT A"
    with pytest.raises(InputError, match=r"shape \(11, 31\): use \(frames, 34\), as there are 34 labels"):
        asr.Decoder(more).decode(saying(WAV2VEC2, tokens)[:, :31])
    with pytest.raises(InputError, match=r"blank, which has no label of a usual name, is taken to be the last"):
        asr.Decoder(["a", "b"]).decode(np.log([[0.5, 0.5]]))


def test_kinds_of_scores() -> None:
    log_probs = saying(LABELS, "the|cat", 0.6)
    logits = log_probs + np.arange(7)[:, None]
    kinds = {"log_probs": log_probs, "probs": np.exp(log_probs), "logits": logits}
    expected = asr.Decoder(LABELS).decode(log_probs, nbest=3)
    for kind, given in kinds.items():
        decoder = asr.Decoder(LABELS, scores=kind)
        for array in (given, given.tolist(), torch.tensor(given, requires_grad=True), np.asfortranarray(given)):
            found = decoder.decode(array, nbest=3)
            assert [found.text, *(a.text for a in found.alternatives)] == [
                expected.text,
                *(a.text for a in expected.alternatives),
            ]
            assert found.score == pytest.approx(expected.score, abs=1e-4)
        assert decoder.decode(torch.tensor(given).bfloat16() if kind == "logits" else given).text == "the cat"
        for other, wrong in kinds.items():
            if other != kind and not (kind == "logits" and other == "log_probs"):  # which are logits, too
                with pytest.raises(InputError, match=other):
                    decoder.decode(wrong)
    with pytest.raises(InputError, match="frame 5 holds a score that is not a number"):
        asr.Decoder(LABELS, scores="logits").decode(np.where(np.arange(7)[:, None] == 5, np.nan, logits))
    with pytest.raises(InputError, match="not an array of numbers"):
        asr.Decoder(LABELS).decode("the cat")
    with pytest.raises(InputError, match=r"shape \(1, 7, \d+\): use .*; decode_batch takes"):
        asr.Decoder(LABELS).decode(log_probs[None])
    with pytest.raises(InputError, match="scores='raw' is not one of log_probs, probs, logits"):
        asr.Decoder(LABELS, scores="raw")


def test_batches_are_as_one_by_one(lm: Path) -> None:
    decoder = asr.Decoder(LABELS, lm=lm, beam=20)
    batch = random_log_probs(3, 6, 30, len(LABELS)).astype(np.float32)
    lengths = [30, 12, 0, 30, 7, 1]
    alone = [decoder.decode(row[:length], nbest=2) for row, length in zip(batch, lengths, strict=True)]
    assert decoder.decode_batch(batch, lengths, nbest=2) == alone
    assert decoder.decode_batch(torch.from_numpy(batch), torch.tensor(lengths), nbest=2) == alone
    assert decoder.decode_batch([row[:n] for row, n in zip(batch, lengths, strict=True)], nbest=2) == alone
    batch[4] += 1
    with pytest.raises(InputError, match=r"utterance 4: the probabilities of frame 0 sum to 2.718"):
        decoder.decode_batch(batch)
    with pytest.raises(InputError, match="2 lengths for 6 utterances"):
        decoder.decode_batch(batch, [1, 2])
    with pytest.raises(InputError, match="utterance 0: length 31 does not fit 30 frames"):
        decoder.decode_batch(batch[:1], [31])


def test_streams(lm: Path) -> None:
    decoder = asr.Decoder(LABELS, lm=lm, scores="probs")
    probs = np.exp(saying(LABELS, "the|cat|sat"))
    stream = decoder.stream()
    assert stream.partial == ""
    partial = []
    for frame in probs:
        stream.feed(frame[None])
        partial.append(stream.partial)
    assert partial[5] == "the ca" and partial[-1] == "the cat sat"
    assert stream.finish(nbest=2) == decoder.decode(probs, nbest=2)
    with pytest.raises(InputError, match="this stream is finished"):
        stream.feed(probs)
    other = decoder.stream()
    other.feed(probs)
    with pytest.raises(InputError, match="frame 11 sum to"):
        other.feed(2 * probs)


def test_hot_words_of_each_utterance(lm: Path) -> None:
    between = scores(
        LABELS, {"c": 0.9}, {"a": 0.5, "o": 0.4}, {"t": 0.9}, {"|": 0.9}, {"s": 0.9}, {"a": 0.9}, {"t": 0.9}
    )
    for decoder in (asr.Decoder(LABELS), asr.Decoder(LABELS, lm=lm)):
        favored = [None, {"COT": 6.0}, "cot sat=6", {"cot": 6.0, "so": 1.0}]
        found = decoder.decode_batch([between] * 4, hotwords=favored)
        assert [one.text for one in found] == ["cat sat", "cot sat", "cot sat", "cot sat"]
        assert [one.text for one in decoder.decode_batch([between] * 2, hotwords=["cot=6"])] == ["cot sat"] * 2
        assert decoder.decode(between).text == "cat sat"
        with pytest.raises(InputError, match="hotwords for 1 utterances, but there are 2"):
            decoder.decode_batch([between] * 2, hotwords=[{"cot": 2.0}])
        with pytest.raises(InputError, match="hot words that cannot be used: 'über': the labels cannot write them"):
            decoder.decode(between, hotwords="über")
    always = asr.Decoder(LABELS, hotwords={"cot": 3.0})
    assert always.decode(between).text == "cot sat"
    assert always.decode(between, hotwords={"cot": 0.0}).text == "cat sat"


def test_a_phrase_may_begin_before_an_utterance_that_goes_on(lm: Path) -> None:
    between = scores(LABELS, {"c": 0.9}, {"a": 0.5, "o": 0.4}, {"t": 0.9})
    for decoder in (asr.Decoder(LABELS), asr.Decoder(LABELS, lm=lm)):
        favored = {"the cot": 6.0}
        assert decoder.decode(between, hotwords=favored).text == "cat"
        assert decoder.decode(between, hotwords=favored, after="see the").text == "cot"
        assert decoder.decode(between, hotwords=favored, after="the a").text == "cat"


def test_hot_words_leave_the_scores_of_other_words_alone(lm: Path) -> None:
    sure = saying(LABELS, "the|cat", 0.99)
    decoder = asr.Decoder(LABELS, lm=lm, lexicon=["cat", "sat"], unknown_words=-4.0)
    plain = decoder.decode(sure)
    for favored in ({"toe": 1.0}, {"toe sat": 1.0}, {"sat": 1.0}):
        found = decoder.decode(sure, hotwords=favored)
        assert (found.text, found.score) == (plain.text, pytest.approx(plain.score))


def test_words_outside_the_model(lm: Path, caplog: pytest.LogCaptureFixture) -> None:
    sure = saying(LABELS, "the|cot", 0.99)
    assert asr.Decoder(LABELS, lm=lm).decode(sure).text == "the cat"
    assert asr.Decoder(LABELS, lm=lm, unknown_words=-2.0).decode(sure).text == "the cot"
    assert asr.Decoder(LABELS, lm=lm, unknown_words=None).decode(sure).text == "the cat"
    assert asr.Decoder(LABELS, lexicon=["the", "cot", "cat"], unknown_words=None).decode(sure).text == "the cot"
    assert asr.Decoder(LABELS, lexicon=["the", "dog"], unknown_words=None).decode(sure).text in (
        "the the",
        "the dog",
        "dog",
    )
    with pytest.raises(InputError, match=r"none of 6 words in common.*do case and alphabet agree"):
        asr.Decoder(WAV2VEC2, lm=lm)
    with pytest.raises(InputError, match="lexicon: 'two words' is not a word"):
        asr.Decoder(LABELS, lexicon=["two words"])
    with pytest.raises(InputError, match=r"need a label between them.*space="):
        asr.Decoder(["<pad>", "a", "b"], lm=lm)


def test_a_model_of_characters(lm: Path, tmp_path: Path) -> None:
    path = tmp_path / "characters.arpa"
    arpa.write(kneser_ney(encode_sentences([characters_of(line) for line in TEXT]), 4), path)
    log_probs = saying(LABELS, "the|cot", 0.6)
    assert asr.Decoder(LABELS).decode(log_probs).text == "the cot"
    assert asr.Decoder(LABELS, character_lm=path, character_weight=0.6).decode(log_probs).text == "the cat"
    both = asr.Decoder(LABELS, lm=lm, character_lm=path)
    assert both.decode(log_probs).text == "the cat"
    # the history counts: "a" is followed by "cat" only
    ending = scores(LABELS, {"c": 0.45, "d": 0.46}, {"a": 0.45, "o": 0.46}, {"t": 0.45, "g": 0.46})
    assert both.decode(ending, after="a").text == "cat"
    assert both.decode(ending, after="a").lm_score != both.decode(ending, after="a", is_end=False).lm_score


def test_phones(lm: Path) -> None:
    heard = saying(PHONES, ["dh", "ah", "k", "ae", "t"])
    assert asr.Decoder(PHONES).decode(heard).text == "dh ah k ae t"
    found = asr.Decoder(PHONES, lexicon=LEXICON, frame_seconds=0.02).decode(heard)
    assert [(w.text, w.start, w.end) for w in found.words] == [("the", 0.0, 0.04), ("cat", 0.04, 0.1)]
    assert asr.Decoder(PHONES, lexicon=LEXICON, lm=lm).decode(heard, hotwords="dog=1").text == "the cat"
    with pytest.raises(InputError, match="give a pronunciation dictionary"):
        asr.Decoder(PHONES, lexicon=["the"])


def test_options() -> None:
    with pytest.raises(InputError, match="lm_weight=nan: use a finite number"):
        asr.Decoder(LABELS, lm_weight=float("nan"))
    with pytest.raises(InputError, match="frame_seconds=0"):
        asr.Decoder(LABELS, frame_seconds=0)
    with pytest.raises(InputError, match="beam=0: use a whole number of at least 1"):
        asr.Decoder(LABELS, beam=0)
    labels = {name: np.int64(number) for number, name in enumerate(LABELS)}  # numbers of numpy are numbers
    found = asr.Decoder(
        labels, blank=np.int64(0), beam=np.int32(9), lm_weight=np.float32(1), frame_seconds=np.float32(1)
    )
    assert found.alphabet.blank == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"beam": 2.5}, "beam=2.5: use a whole number"),
        ({"beam": None}, "beam=None"),
        ({"beam": True}, "beam=True"),
        ({"max_labels": float("nan")}, "max_labels=nan: use a whole number of at least 1, or null"),
        ({"beam_threshold": "5"}, "beam_threshold='5': use a number"),
        ({"min_label_prob": [0.1]}, r"min_label_prob=\[0.1\]: use a probability"),
        ({"lm_weight": "0.5"}, "lm_weight='0.5': use a finite number"),
        ({"unknown_words": [1]}, r"unknown_words=\[1\]: use a finite number, or None"),
        ({"frame_seconds": "0.02"}, "frame_seconds='0.02': use a number of seconds"),
        ({"lm": 5}, "lm=5: use a file"),
        ({"lm": [5]}, "lm: 5 is no file"),
        ({"lm": {"lm.arpa": "much"}}, "'much' is no weight"),
        ({"lexicon": 5}, "lexicon=5: use a file"),
        ({"labels": None}, "labels=None: use a list of names"),
        ({"labels": {"a", "b", " "}}, "use a list of names in the order"),  # a set has none
        ({"blank": 1.0}, "blank=1.0: use a label's name, or its number"),
    ],
)
def test_options_of_another_type(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        asr.Decoder(**({"labels": LABELS} | options))


def test_arguments_of_another_type() -> None:
    decoder = asr.Decoder(LABELS)
    said = saying(LABELS, "cat")
    for after in (None, 5, ["the"], b"the"):
        with pytest.raises(InputError, match=r"after=.*: use a text"):
            decoder.decode(said, after=after)  # type: ignore[arg-type]
    for nbest in (None, 2.5, "3"):
        with pytest.raises(InputError, match=r"nbest=.*: use a whole number"):
            decoder.decode(said, nbest=nbest)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="complex"):
        decoder.decode(said.astype(complex))
    with pytest.raises(InputError, match=r"use \(utterances, frames, labels\), or a list"):
        decoder.decode_batch(None)
    # those of SpeechBrain are parts of the longest: 1.0 is not one frame
    for lengths in (torch.tensor([1.0, 0.5]), [3, None], [2.7, 3], 3, "ab"):
        with pytest.raises(InputError, match="lengths: use a list of whole numbers"):
            decoder.decode_batch([said, said], lengths)
    for given in (torch.tensor([3, 2]), np.array([3, 2]), [3, 2]):
        assert [one.text for one in decoder.decode_batch([said, said], given)] == ["cat", "ca"]
    for seconds in (-1, float("nan"), "1"):
        with pytest.raises(InputError, match="frame_seconds="):
            asr.align(said, "cat", LABELS, frame_seconds=seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "tokens"),
    [
        (LABELS, ["t", "t", "h", "e", "<pad>", "|", "c", "a", "t"]),
        (
            ["<blk>", "▁the", "▁c", "▁ca", "at", "t", "x", "▁"],
            ["▁the", "▁the", "<blk>", "<blk>", "<blk>", "<blk>", "▁c", "at", "at"],
        ),
        (
            ["[PAD]", "the", "##t", "ca", "c", "##at", "##x"],
            ["the", "[PAD]", "[PAD]", "[PAD]", "[PAD]", "[PAD]", "ca", "ca", "##t"],
        ),
    ],
)
def test_alignment(labels: list[str], tokens: list[str]) -> None:
    found = asr.align(saying(labels, tokens), "The, cat!", labels, frame_seconds=0.5)
    assert [(word.text, word.end) for word in found.words] == [
        ("The,", 2.0 if labels is LABELS else found.words[0].end),
        ("cat!", 4.5),
    ]
    assert found.words[1].start == 3.0 and found.fits and found.duration == 4.5
    wrong = asr.align(saying(labels, tokens), "cat the", labels)
    assert wrong.fits is False or wrong.warnings or min(word.confidence for word in wrong.words) < 0.5


def test_alignment_of_what_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    found = asr.align(np.exp(saying(LABELS, "the|ooo|cat")), "the 42 cat", LABELS, kind="probs")
    assert [word.text for word in found.words] == ["the", "42", "cat"]
    assert "1 words cannot be written with the labels" in caplog.text
    for text, message in (("", "there is no word"), ("42", "cannot be written with the labels: '42'")):
        with pytest.raises(InputError, match=message):
            asr.align(saying(LABELS, "the"), text, LABELS)
    with pytest.raises(InputError, match="its 7 labels need 7 frames, of which there are 2"):
        asr.align(saying(LABELS, "th"), "the cat", LABELS)


def test_words_that_are_spelled_alike(tmp_path: Path) -> None:
    """A word with an invisible character does not take the place of the word itself."""
    texts = ["the cat sat", "the cat sat", "the cat\u2060 ran"]
    arpa.write(kneser_ney(encode_sentences([line.split() for line in texts]), 1), tmp_path / "lm.arpa")
    for labels in (LABELS, ["<pad>", "▁the", "▁c", "at", "▁sat", "▁ran"]):
        tokens = "the|cat" if labels is LABELS else ["▁the", "▁c", "at"]
        assert asr.Decoder(labels, lm=tmp_path / "lm.arpa").decode(saying(labels, tokens)).text == "the cat"


def test_torch_is_not_needed() -> None:
    code = (
        "import sys, asr; d = asr.Decoder(['<pad>', '|', 'a']); p = [[-1e-9, -50.0, -50.0]]; d.decode(p); "
        "asr.align([[-50.0, -50.0, -1e-9]], 'a', ['<pad>', '|', 'a']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
