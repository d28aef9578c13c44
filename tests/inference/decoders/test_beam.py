"""Decoders: what a search is given of models and dictionaries, and what text comes out."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding.ctc import beam as ctc_beam
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.inference.decoders import segments
from asr.inference.decoders.base import HeadDecoder
from asr.inference.decoders.beam import BeamDecoder
from asr.inference.decoders.factory import make_decoder
from asr.inference.decoders.segments import (
    MAX_SEGMENT_FRAMES,
    MIN_PAUSE_FRAMES,
    MIN_SEGMENT_FRAMES,
    join_segments,
    segment_end,
)
from asr.lm import arpa
from asr.lm.estimate import characters_of, encode_sentences, kneser_ney
from asr.models import decoder_files, store
from asr.modules.label_rnn import LabelRNN
from asr.tasks.language import LanguageTask
from asr.text.vocabulary import EOS, Vocabulary

TEXT = ["the cat sat", "the dog sat", "a cat", "the cat ran"]
CHARACTERS = Vocabulary.characters(TEXT)
EDGES = Vocabulary.characters(TEXT, boundary_spaces=True)
PHONES = Vocabulary.phones(["dh", "ah", "k", "ae", "t", "d", "ao", "g"])
DICTIONARY = "the DH AH0\nthe(2) DH IY0\ncat K AE1 T\ndog D AO1 G\nzebra Z IY1 B R AH0\n"


@pytest.fixture
def lm(tmp_path: Path) -> Path:
    arpa.write(kneser_ney(encode_sentences([line.split() for line in TEXT]), 2), tmp_path / "lm.arpa")
    return tmp_path / "lm.arpa"


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    (tmp_path / "dictionary.txt").write_text(DICTIONARY)
    return tmp_path / "dictionary.txt"


def scores(vocabulary: Vocabulary, *frames: dict[str, float]) -> np.ndarray:
    """Log-probabilities (1, T, V) of frames that give some tokens a probability; the rest goes to the others."""
    p = np.zeros((1, len(frames), len(vocabulary)))
    for row, frame in zip(p[0], frames, strict=True):
        row[:] = (1 - sum(frame.values())) / (len(vocabulary) - len(frame))
        for token, probability in frame.items():
            row[vocabulary.tokens.index(token)] = probability
    return np.log(p)


def saying(vocabulary: Vocabulary, tokens: list[str], p: float = 0.9) -> np.ndarray:
    return scores(vocabulary, *({token: p} for token in tokens))


def best(decoder: HeadDecoder, log_probs: np.ndarray) -> str:
    ((found, *_),) = decoder.search(log_probs, np.array([log_probs.shape[1]]))
    return decoder.text(found)


def test_greedy_and_a_beam_without_models() -> None:
    log_probs = saying(CHARACTERS, list("the cat"))
    assert best(make_decoder(CHARACTERS, {"type": "greedy"}), log_probs) == "the cat"
    assert best(make_decoder(CHARACTERS, {"type": "beam", "beam": 10}), log_probs) == "the cat"


def test_a_word_model_corrects_spelling(lm: Path) -> None:
    log_probs = saying(CHARACTERS, list("the cot"), 0.6)
    assert best(make_decoder(CHARACTERS, {"type": "beam"}), log_probs) == "the cot"
    assert best(make_decoder(CHARACTERS, {"type": "beam", "lm": lm}), log_probs) == "the cat"
    # words outside the model are possible, if that is said
    sure = saying(CHARACTERS, list("the cot"), 0.99)
    assert best(make_decoder(CHARACTERS, {"type": "beam", "lm": lm, "unknown_words": -2.0}), sure) == "the cot"


def test_a_character_model(tmp_path: Path) -> None:
    path = tmp_path / "characters.arpa"
    arpa.write(kneser_ney(encode_sentences([characters_of(line) for line in TEXT]), 4), path)
    log_probs = saying(CHARACTERS, list("the cot"), 0.5)
    decoder = make_decoder(CHARACTERS, {"type": "beam", "character_lm": path, "character_weight": 1.0})
    assert best(decoder, log_probs) == "the cat"


def test_hot_words_alone() -> None:
    between = scores(CHARACTERS, {"c": 0.9}, {"a": 0.5, "o": 0.4}, {"t": 0.9})
    assert best(make_decoder(CHARACTERS, {"type": "beam"}), between) == "cat"
    assert best(make_decoder(CHARACTERS, {"type": "beam", "hotwords": {"cot": 1.0}}), between) == "cot"


def test_phones_make_words(lm: Path, dictionary: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        decoder = make_decoder(PHONES, {"type": "beam", "lm": lm, "lexicon": dictionary})
    assert "3 of 6 words cannot be used here: 'sat', 'a', 'ran'" in caplog.text
    log_probs = saying(PHONES, ["dh", "ah", "k", "ae", "t"])
    ((found, *_),) = decoder.search(log_probs, np.array([5]))
    assert decoder.words(found) == [("the", 0, 2), ("cat", 2, 5)]
    assert decoder.scoring_vocabulary.kind == "characters"


class TestLongRecordings:
    def test_pauses(self) -> None:
        blank = np.full(5000, np.log(0.5))
        assert segment_end(blank[:MIN_SEGMENT_FRAMES]) is None
        assert segment_end(blank[:3000]) is None
        blank[100:350] = blank[1500 : 1500 + MIN_PAUSE_FRAMES] = blank[2000:2400] = np.log(0.95)
        assert segment_end(blank[:3000]) == 1500 + MIN_PAUSE_FRAMES // 2
        blank[1505] = np.log(0.5)
        assert segment_end(blank[:3000]) == 2000 + MIN_PAUSE_FRAMES // 2
        blank[:] = np.log(0.5)
        blank[2222] = np.log(0.6)
        assert segment_end(blank[:MAX_SEGMENT_FRAMES]) == 2222

    def test_what_is_cut_at_pauses_is_put_together(self, lm: Path) -> None:
        silence = ["<blank>"] * MIN_PAUSE_FRAMES
        spoken = [*"the cat", *silence, *" a cat", *silence, *["<blank>"] * MIN_SEGMENT_FRAMES, *" the dog ran"]
        log_probs = saying(CHARACTERS, spoken, 1 - 1e-6)[0]
        decoder = make_decoder(CHARACTERS, {"type": "beam", "lm": lm})
        search = decoder.start()
        for piece in np.array_split(log_probs, 7):
            search.feed(piece)
        (found,) = search.finish()
        assert search.frames == len(log_probs)
        assert decoder.text(found) == "the cat a cat the dog ran"
        (whole,) = decoder.search(log_probs[None], np.array([len(log_probs)]))[0]
        assert (found.labels, found.frames, found.words) == (whole.labels, whole.frames, whole.words)

    def test_short_ones_are_not_cut(self, lm: Path) -> None:
        log_probs = saying(CHARACTERS, list("the cat"))
        decoder = make_decoder(CHARACTERS, {"type": "beam", "lm": lm, "nbest": 3})
        search = decoder.start()
        search.feed(log_probs[0])
        assert [search.finish()] == decoder.search(log_probs, np.array([7]))

    def test_threads_find_what_one_alone_finds(self, lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Segment by segment, however the frames come in, with the n best of all."""
        monkeypatch.setattr(segments, "MIN_SEGMENT_FRAMES", 40)
        monkeypatch.setattr(segments, "MAX_SEGMENT_FRAMES", 90)
        monkeypatch.setattr(segments, "MAX_RUNNING", 3)
        logits = np.random.default_rng(0).normal(0, 2.5, (1500, len(CHARACTERS)))
        log_probs = logits - np.logaddexp.reduce(logits, 1, keepdims=True)
        decoder = make_decoder(CHARACTERS, {"type": "beam", "lm": lm, "beam": 20, "nbest": 3})
        with ThreadPoolExecutor(3) as pool:
            for frames in (60, 1500):
                alone, together = decoder.start(), decoder.start(pool)
                alone.feed(log_probs[:frames])
                for piece in np.array_split(log_probs[:frames], 11):
                    together.feed(piece)
                expected = alone.finish()
                assert together.finish() == expected and together.frames == alone.frames == frames
                assert len(expected) == 3
                batch = decoder.search(np.stack([log_probs, log_probs[::-1]]), np.array([frames, 50]))
                assert batch == [expected, decoder.search(log_probs[None, ::-1], np.array([50]))[0]]

    def test_an_error_names_the_utterance(self, lm: Path) -> None:
        log_probs = np.full((2, 3, len(CHARACTERS)), -np.log(len(CHARACTERS)))
        log_probs[1, 2, 0] = np.nan
        with pytest.raises(InputError, match="utterance 1: "):
            make_decoder(CHARACTERS, {"type": "beam", "lm": lm}).search(log_probs, np.array([3, 3]))

    @given(st.lists(st.lists(st.integers(-20, 0), min_size=1, max_size=3), min_size=1, max_size=4))
    def test_the_best_of_all_combinations_of_segments(self, scores: list[list[int]]) -> None:
        """Against all of them; a hypothesis's label is its rank in its segment."""
        parts = [
            [Hypothesis((rank,), float(score)) for rank, score in enumerate(sorted(part)[::-1])] for part in scores
        ]
        every = [(sum(one.score for one in row), tuple(one.labels[0] for one in row)) for row in product(*parts)]
        found = join_segments(parts)
        count = min(len(every), max(map(len, scores)))
        assert [one.score for one in found] == sorted((score for score, _ in every), reverse=True)[:count]
        assert len({one.labels for one in found}) == count and all((one.score, one.labels) in every for one in found)

    def test_the_error_of_a_thread_arrives(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(segments, "MIN_SEGMENT_FRAMES", 20)
        monkeypatch.setattr(segments, "MAX_SEGMENT_FRAMES", 40)
        log_probs = np.full((400, len(CHARACTERS)), -np.inf)
        with ThreadPoolExecutor(2) as pool:
            search = make_decoder(CHARACTERS, {"type": "beam"}).start(pool)
            search.feed(log_probs[:100])  # fewer segments than may wait
            with pytest.raises(InputError, match="frame 0"):
                search.finish()


@pytest.fixture
def neural_lm(tmp_path: Path) -> Path:
    """An untrained language model that knows all characters but the last."""
    torch.manual_seed(0)
    vocabulary = Vocabulary.characters("".join(CHARACTERS.tokens[1:-1]), specials=(EOS,))
    network = LabelRNN(len(vocabulary), embedding_size=4, hidden_size=6)
    config: dict[str, Any] = {"task": {"type": "language", "heads": {"text": {}}}}
    config["label_rnn"] = {"type": "label_rnn", "embedding_size": 4, "hidden_size": 6}
    store.save(LanguageTask({"text": vocabulary}, network), tmp_path / "language", config)
    return tmp_path / "language"


def test_a_network_of_characters_scores_hypotheses(neural_lm: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a beam that holds everything: the scores without it, and what the network says of each text and its end."""
    options = {"type": "beam", "beam": 4000, "nbest": 4000}
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(len(CHARACTERS)), (1, 3)))
    plain = make_decoder(CHARACTERS, options)
    numbers = {"neural_weight": 0.6, "neural_bonus": 0.3}
    fused = make_decoder(CHARACTERS, options | {"neural_lm": str(neural_lm)} | numbers)
    assert f"1 of {len(CHARACTERS) - 1} labels cannot be used here: '{CHARACTERS.tokens[-1]}'" in caplog.text
    task = store.load(neural_lm, LanguageTask)

    def label_sequences(decoder: HeadDecoder) -> dict[tuple[int, ...], float]:  # not merged to texts
        assert isinstance(decoder, BeamDecoder)
        models = decoder.graph, decoder.models.neural
        hypotheses = ctc_beam.search(log_probs, np.array([3]), CHARACTERS.blank, decoder.options, *models)[0]
        return {hypothesis.labels: hypothesis.score for hypothesis in hypotheses}

    before, after = label_sequences(plain), label_sequences(fused)
    assert before.keys() == after.keys() and len(after) > 1000
    known = {token: label for label, token in enumerate(task.vocabulary.tokens)}
    for labels in [labels for labels in after if len(CHARACTERS) - 1 not in labels][:50]:
        text = [task.eos, *(known[CHARACTERS.tokens[label]] for label in labels), task.eos]
        said = task.loss(torch.tensor([text]))[0].item() * -(len(text) - 1)
        assert after[labels] == pytest.approx(before[labels] + 0.6 * said + 0.3 * len(labels), abs=1e-3)
    assert fused.with_weights(neural_weight=0.1).weights["neural_weight"] == 0.1  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="neural_weight: this decoder has no such model; it has beam"):
        plain.with_weights(neural_weight=0.1)  # type: ignore[attr-defined]


def test_a_model_directory_takes_it_in(neural_lm: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    options = decoder_files.copy_decoder_files({"neural_lm": str(neural_lm)}, tmp_path / "model")
    assert options == {"neural_lm": "neural_lm"}
    store.load(tmp_path / "model" / "neural_lm", LanguageTask)
    again = decoder_files.copy_decoder_files({"neural_lm": str(tmp_path / "model" / "neural_lm")}, tmp_path / "model")
    assert again == options


@pytest.mark.parametrize(
    ("vocabulary", "config", "message"),
    [
        (CHARACTERS, {"type": "best"}, "decoder: type='best' is not one of greedy"),
        (CHARACTERS, {"type": "beam", "width": 3}, "decoder: beam has no option width; it has beam"),
        (CHARACTERS, {"type": "beam", "lexicon": "dictionary.txt"}, "is for a head of phones"),
        (EDGES, {"type": "beam", "lm": "lm.arpa"}, "begin and end with a space"),
        (PHONES, {"type": "beam", "lm": "lm.arpa"}, "need a pronunciation dictionary"),
        (
            CHARACTERS,
            {"type": "beam", "lm": "upper.arpa"},
            "have none of 1 words in common .'CAT'",
        ),
        (CHARACTERS, {"type": "beam", "character_lm": "upper.arpa"}, "have none of .* labels in common"),
        (CHARACTERS, {"type": "beam", "lm": "none.arpa"}, "none.arpa: cannot be read: No such file"),
    ],
)
def test_what_does_not_fit(
    vocabulary: Vocabulary,
    config: dict[str, Any],
    message: str,
    lm: Path,
    dictionary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(lm.parent)
    arpa.write(kneser_ney(encode_sentences([["CAT"]]), 1), lm.parent / "upper.arpa")
    with pytest.raises(InputError, match=message):
        make_decoder(vocabulary, config)


def test_what_lies_in_the_model_directory_is_not_copied(dictionary: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "words.lexicon").symlink_to(dictionary)  # as the cache of a hub has it
    for folder in (model, model / ".." / "model"):
        given = {"lexicon": str(folder / "words.lexicon")}
        assert decoder_files.copy_decoder_files(given, model) == {"lexicon": "words.lexicon"}
    assert [path.name for path in model.iterdir()] == ["words.lexicon"]
