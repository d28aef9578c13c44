"""Learning from a teacher: the divergence written out, what has to fit, and a training with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from asr.data.batch import SpeechBatch, Targets, pad
from asr.errors import InputError
from asr.features import FilterBank
from asr.features.specaugment import SpecAugment, SpectrogramWarp
from asr.models import store
from asr.modules.encoder import Encoder
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary
from asr.training.run import train
from asr.training.teacher import Teacher

LENGTHS = (3000, 1200)


def network(seed: int = 0, stride: int = 1, labels: str = "ab", **options: Any) -> CTCTask:
    torch.manual_seed(seed)
    features = FilterBank(8000, num_mels=10, deltas=0, normalization="utterance")
    vocabularies = {"text": Vocabulary.characters(labels), "other": Vocabulary.characters("abc")}
    return CTCTask(features, Encoder(features.dim, 6, num_layers=2, stride=stride), vocabularies, **options)


def noisy_batch() -> SpeechBatch:
    generator = torch.Generator().manual_seed(0)
    clean, lengths = pad([torch.randn(length, generator=generator) for length in LENGTHS])
    noisy = clean + 0.5 * torch.randn(clean.shape, generator=generator)
    targets = {"text": Targets.of([[1, 2, 1], None]), "other": Targets.of([[3], None])}
    return SpeechBatch(["", ""], noisy, lengths, targets, clean=clean)


def test_divergence_from_what_the_teacher_finds_without_noise() -> None:
    """Each utterance by itself, frame by frame; the student alone has a gradient."""
    batch = noisy_batch()
    student, teacher = network(1, weights={"text": 1.0, "other": 0.5}).train(), network(2)
    assert batch.clean is not None
    expected = torch.zeros(())
    scores, frames = student(batch.inputs, batch.lengths)
    for head, weight in (("text", 1.0), ("other", 0.5)):
        for row, length in enumerate(LENGTHS):
            right, _ = teacher.eval()(batch.clean[row : row + 1, :length], torch.tensor([length]))
            p, q = right[head][0].exp(), scores[head][row, : len(right[head][0])]
            expected = expected + weight * (p * (p.log() - q)).sum() / frames.sum()
    plain = student.training_loss(batch).value
    student.further_losses.append(Teacher(teacher, 3.0, student.weights))
    loss = student.training_loss(batch).value
    torch.testing.assert_close(loss - plain, 3 * expected)
    loss.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None and p.grad.any() for p in student.heads.parameters())


def test_two_views_learn_from_the_same_scores() -> None:
    batch, teacher = noisy_batch(), network(2)
    student = network(1, augmentation=[SpecAugment(time_masks=3, time_width=9)], consistency=0.2).train()
    x, _, _ = student.encode(batch.inputs, batch.lengths, views=2)
    scores = {head: linear(x) for head, linear in student.heads.items()}
    both = Teacher(teacher, 1.0, student.weights)(batch, scores)
    one, two = (
        Teacher(teacher, 1.0, student.weights)(batch, {head: s[view] for head, s in scores.items()})
        for view in (slice(2), slice(2, 4))
    )
    torch.testing.assert_close(both, (one + two) / 2)


def test_heads_that_the_teacher_lacks_learn_from_transcripts_alone() -> None:
    batch, student = noisy_batch(), network(1)
    teacher = network(2)
    scores, _ = student(batch.inputs, batch.lengths)
    both = Teacher(teacher, 1.0, student.weights)(batch, scores)
    for head in ("text", "other"):
        del teacher.vocabularies[head]
        one = Teacher(teacher, 1.0, student.weights)(batch, scores)
        assert 0 < one < both
        teacher = network(2)


def test_each_view_of_the_teacher_has_its_turn() -> None:
    batch, student = noisy_batch(), network(1)
    scores, _ = student(batch.inputs, batch.lengths)
    of_view = {}
    for factor in (0.9, 1.1):
        alone = network(2)
        alone.warps = (factor,)
        of_view[factor] = Teacher(alone, 1.0, student.weights)(batch, scores).item()
    both = network(2)
    both.warps = (0.9, 1.1)
    teacher = Teacher(both, 1.0, student.weights)
    drawn = {round(teacher(batch, scores).item(), 6) for _ in range(20)}
    assert drawn == {round(value, 6) for value in of_view.values()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "abd"}, "head text has other labels"),
        ({"stride": 2}, r"has a frame every 0\.01 s; this network has one every 0\.02 s"),
        ({"augmentation": [SpectrogramWarp(0.1, 0.1)]}, r"use augmentation\.warp\.tempo=0"),
    ],
)
def test_a_teacher_has_to_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(store, "load", lambda path, kind: network())
    (tmp_path / "config.yaml").touch()
    monkeypatch.setattr("asr.training.teacher.find", lambda path: path)
    assert Teacher.load(tmp_path, network(augmentation=[SpectrogramWarp(0.0, 0.1)]), 1.0).weight == 1.0
    with pytest.raises(InputError, match=message):
        Teacher.load(tmp_path, network(**options), 1.0)


def test_a_teacher_has_a_head_of_the_student(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher = network(), network()
    teacher.vocabularies = {"phones": Vocabulary.characters("ab")}
    monkeypatch.setattr(store, "load", lambda path, kind: teacher)
    monkeypatch.setattr("asr.training.teacher.find", lambda path: path)
    with pytest.raises(InputError, match="has the heads phones, of which this network has none"):
        Teacher.load(tmp_path, student, 1.0)


def test_a_training_with_a_teacher(tmp_path: Path, tiny_config: Any, tone_corpus: Any, tone_texts: Any) -> None:
    corpus = tone_corpus(tmp_path / "corpus", tone_texts(8))
    config = tiny_config(tmp_path / "first", corpus, **{"trainer.epochs": 2})
    train(config)
    (tmp_path / "more").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    soundfile.write(tmp_path / "more" / "a.wav", noise, 16000)
    settings = {
        "trainer.epochs": 2,
        "init": str(tmp_path / "first"),
        "data.teacher": str(tmp_path / "first"),
        "data.untranscribed": str(tmp_path / "more"),
        "data.perturbation": {"noise": "white", "noise_probability": 1.0},
    }
    figures = train(tiny_config(tmp_path / "second", corpus, **settings))
    hours = figures["training"]["hours_of_audio"]
    assert hours == pytest.approx(store_hours(tmp_path / "first") + 1 / 3600, abs=0.001)
    with pytest.raises(InputError, match=r"data.untranscribed needs data.teacher"):
        train(tiny_config(tmp_path / "third", corpus, **{**settings, "data.teacher": None}))


def store_hours(run: Path) -> float:
    import json

    return float(json.loads((run / "model" / "metrics.json").read_text())["training"]["hours_of_audio"])
