"""Scores that all decoders refuse, and texts whose spellings are summed up."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file

from asr.errors import InputError
from asr.inference.decoders.aligner import Aligner
from asr.inference.decoders.base import HeadDecoder
from asr.inference.decoders.factory import make_decoder
from asr.inference.decoders.hotwords import parse_hotwords
from asr.text.vocabulary import Vocabulary

LETTERS = Vocabulary("characters", ("<blank>", " ", "a"))

DECODERS: dict[str, Callable[[], HeadDecoder]] = {
    "greedy": lambda: make_decoder(LETTERS, {"type": "greedy"}),
    "beam": lambda: make_decoder(LETTERS, {"type": "beam"}),
    "hot words": lambda: make_decoder(LETTERS, {"hotwords": parse_hotwords("a a=3")}),
    "aligner": lambda: Aligner(LETTERS, "a a"),
}


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.full((4, 3), np.nan), "frame 0 holds a score that is not a number"),
        (np.log([[0.2, 0.3, 0.5]] * 3 + [[0.2, np.nan, 0.5]]), "frame 3 holds a score that is not a number"),
        (np.full((4, 3), np.inf), "frame 0 holds a score that is not a number, or infinite"),
        (np.full((4, 3), 5.0), "frame 0 sum to 445"),
        (np.full((4, 3), 1 / 3), "frame 0 sum to 4.187, not 1"),
        (np.full((4, 3), -np.inf), "frame 0 sum to 0, not 1"),
        (np.log(np.full((4, 4), 0.25)), "scores have "),
        (np.log(np.full((4, 2), 0.5)), "scores have "),
    ],
)
def test_scores_that_are_refused(kind: str, scores: np.ndarray, message: str) -> None:
    decoder = DECODERS[kind]()
    with pytest.raises(InputError, match=message):
        decoder.search(scores[None], np.array([4]))
    search = decoder.start()

    def search_all() -> None:
        search.feed(scores)
        search.finish()

    with pytest.raises(InputError, match=message):
        search_all()


@pytest.mark.parametrize("kind", DECODERS)
def test_padding_is_not_looked_at(kind: str) -> None:
    scores = np.log([[[0.05, 0.05, 0.9], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9], [np.nan] * 3]])
    ((hypothesis, *_),) = DECODERS[kind]().search(scores, np.array([3]))
    assert DECODERS[kind]().text(hypothesis) == "a a"


@pytest.mark.parametrize("beam", [[], ["--beam", 10]])
def test_weights_that_are_not_numbers(
    asr: Callable[..., Any], tone_run: Path, tmp_path: Path, tones: Any, beam: list[Any]
) -> None:
    model = shutil.copytree(tone_run / "model", tmp_path / "model")
    weights = load_file(model / "weights.safetensors")
    (name,) = [name for name in weights if name.startswith("heads") and name.endswith("weight")]
    save_file(weights | {name: np.full_like(weights[name], np.nan)}, model / "weights.safetensors")
    soundfile.write(tmp_path / "a.wav", tones("ac cd", 1), 8000)
    outcome = asr("transcribe", tmp_path / "a.wav", "--model", model, *beam)
    assert outcome.status == 1 and not outcome.out
    assert "a.wav" in outcome.err and "holds a score that is not a number" in outcome.err


def exact_texts(log_probs: np.ndarray, tokens: tuple[str, ...]) -> list[tuple[str, float]]:
    """Texts of log-probabilities (T, V) with their probabilities, best first, over all paths."""
    texts: dict[str, float] = {}
    for path in product(range(len(tokens)), repeat=len(log_probs)):
        labels = [label for at, label in enumerate(path) if label and (not at or path[at - 1] != label)]
        text = " ".join("".join(tokens[label] for label in labels).split())
        texts[text] = texts.get(text, 0.0) + float(np.exp(log_probs[np.arange(len(path)), path].sum()))
    return sorted(texts.items(), key=lambda item: -item[1])


def test_the_best_text_of_several_label_sequences() -> None:
    log_probs = np.log([[[0.25, 0.40, 0.35]] * 2])
    decoder = make_decoder(LETTERS, {"nbest": 5})
    hypotheses = decoder.search(log_probs, np.array([2]))[0]
    assert [decoder.text(hypothesis) for hypothesis in hypotheses] == ["a", ""]
    assert np.exp([hypothesis.score for hypothesis in hypotheses]) == pytest.approx([0.5775, 0.4225])
    search = decoder.start()
    search.feed(log_probs[0])
    assert search.finish() == hypotheses


def test_texts_are_those_of_all_paths() -> None:
    vocabulary = Vocabulary("characters", ("<blank>", " ", "a", "b"))
    decoder = make_decoder(vocabulary, {"beam": 500, "nbest": 5})
    rng = np.random.default_rng(0)
    for _ in range(30):
        log_probs = np.log(rng.dirichlet(np.full(4, 0.7), 5))
        hypotheses = decoder.search(log_probs[None], np.array([5]))[0]
        expected = exact_texts(log_probs, vocabulary.tokens)[:5]
        assert [decoder.text(hypothesis) for hypothesis in hypotheses] == [text for text, _ in expected]
        assert np.exp([hypothesis.score for hypothesis in hypotheses]) == pytest.approx([p for _, p in expected])


def test_pronunciations_of_one_word_are_summed_up_but_not_homophones(tmp_path: Path) -> None:
    phones = Vocabulary.phones(["r", "eh", "iy", "d"])
    (tmp_path / "lexicon.txt").write_text("read R EH D\nread(2) R IY D\nred R EH D\nreed R IY D\nreid R IY D\n")
    decoder = make_decoder(phones, {"lexicon": tmp_path / "lexicon.txt", "nbest": 9})
    log_probs = np.log(
        [[[0.01, 0.97, 0.01, 0.005, 0.005], [0.01, 0.01, 0.5, 0.47, 0.01], [0.01, 0.01, 0.01, 0.01, 0.96]]]
    )
    hypotheses = decoder.search(log_probs, np.array([3]))[0]
    scores = {decoder.text(hypothesis): np.exp(hypothesis.score) for hypothesis in hypotheses}
    assert next(iter(scores)) == "read" and len(scores) == len(hypotheses)
    assert scores["read"] == pytest.approx(scores["red"] + scores["reed"]) and scores["reed"] == scores["reid"]
