"""The CTC task: loss against the sum over all alignments, heads, batches against single utterances."""

from __future__ import annotations

import copy
import math
from itertools import groupby, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asr.data.batch import SpeechBatch, Targets, pad
from asr.decoding.ctc import greedy
from asr.errors import InputError
from asr.features import FilterBank
from asr.modules.encoder import Encoder
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary

CONFIG: dict[str, Any] = {
    "task": {"type": "ctc", "heads": {"text": {"kind": "characters"}}},
    "features": {"type": "filterbank", "sample_rate": 8000, "num_mels": 10, "deltas": 1, "normalization": "utterance"},
    "encoder": {"type": "rnn", "hidden_size": 6, "num_layers": 2, "dropout": 0.3, "stack": 2, "stride": 2},
}


def make_task(heads: dict[str, str] | None = None, **weights: float) -> CTCTask:
    torch.manual_seed(0)
    features = FilterBank(8000, num_mels=10, energy=False, deltas=0, normalization="utterance")
    vocabularies = {head: Vocabulary.characters(letters) for head, letters in (heads or {"text": "ab"}).items()}
    return CTCTask(features, Encoder(features.dim, 6, stack=2, stride=2), vocabularies, weights=weights).eval()


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in groupby(path) if label)


def likelihood(log_probs: np.ndarray, labels: tuple[int, ...]) -> float:
    """Probability of a label sequence: the sum over every path (T,) that collapses to it, in float64."""
    frames, size = log_probs.shape
    total = 0.0
    for path in product(range(size), repeat=frames):
        if collapsed(path) == labels:
            total += float(np.exp(sum(log_probs[t, label] for t, label in enumerate(path))))
    return total


def random_scores(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).log_softmax(-1)


@settings(deadline=None, max_examples=40)
@given(
    sequences=st.lists(st.tuples(st.lists(st.integers(1, 2), max_size=3), st.integers(1, 5)), min_size=1, max_size=3),
    seed=st.integers(0, 9999),
)
def test_loss_is_the_sum_over_all_alignments(sequences: list[tuple[list[int], int]], seed: int) -> None:
    task = make_task()
    scores = random_scores(seed, len(sequences), 5, 3)
    lengths = torch.tensor([frames for _, frames in sequences])
    loss, skipped = task.loss({"text": scores}, lengths, {"text": Targets.of([labels for labels, _ in sequences])})
    total, impossible = 0.0, 0
    for row, (labels, frames) in enumerate(sequences):
        probability = likelihood(scores[row, :frames].numpy(), tuple(labels))
        impossible += probability == 0
        total -= np.log(probability) if probability else 0.0
    expected = total / max(sum(len(labels) for labels, _ in sequences), 1)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert skipped == impossible


def test_gradient_of_the_loss_is_that_of_the_sum_over_all_alignments() -> None:
    logits = torch.randn(1, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    logits.requires_grad_()
    task = make_task()
    loss, _ = task.loss({"text": logits.log_softmax(-1)}, torch.tensor([4]), {"text": Targets.of([[1, 1]])})
    (gradient,) = torch.autograd.grad(loss, logits)
    log_probs = logits.log_softmax(-1)[0]
    paths = [path for path in product(range(3), repeat=4) if collapsed(path) == (1, 1)]
    terms = [torch.stack([log_probs[t, label] for t, label in enumerate(path)]).sum() for path in paths]
    (expected,) = torch.autograd.grad(-torch.logsumexp(torch.stack(terms), 0) / 2, logits)
    torch.testing.assert_close(gradient, expected)


def test_an_impossible_utterance_adds_nothing_and_is_counted() -> None:
    task = make_task()
    scores = random_scores(0, 2, 5, 3).requires_grad_()
    lengths = torch.tensor([5, 2])
    targets = {"text": Targets.of([[1, 2], [1, 1]])}
    loss, skipped = task.loss({"text": scores}, lengths, targets)
    assert skipped == 1
    assert loss.item() == pytest.approx(-np.log(likelihood(scores[0].detach().numpy(), (1, 2))) / 4, abs=1e-6)
    loss.backward()
    assert scores.grad is not None and scores.grad[0].abs().sum() > 0
    assert torch.equal(scores.grad[1], torch.zeros(5, 3, dtype=torch.float64))


@given(st.lists(st.integers(1, 2), max_size=5))
def test_frames_needed(labels: list[int]) -> None:
    """The shortest path that collapses to the labels, by trying all."""
    shortest = next(n for n in range(11) if any(collapsed(p) == tuple(labels) for p in product(range(3), repeat=n)))
    assert Targets.of([labels]).frames_needed.tolist() == [shortest]


def test_targets_of_some_of_a_batch() -> None:
    targets = Targets.of([None, [3, 3, 1], None, [], [2]])
    assert targets.rows.tolist() == [1, 3, 4]
    assert targets.labels.tolist() == [3, 3, 1, 2]
    assert targets.lengths.tolist() == [3, 0, 1]
    assert targets.frames_needed.tolist() == [4, 0, 1]
    nothing = Targets.of([None, None])
    assert nothing.frames_needed.tolist() == [] and nothing.rows.dtype == torch.long


def test_heads_without_targets_add_nothing() -> None:
    task = make_task({"text": "ab", "other": "abc"}, other=0.25)
    scores = {"text": random_scores(0, 3, 5, 3), "other": random_scores(1, 3, 5, 4)}
    lengths = torch.tensor([5, 4, 5])
    sequences = [[1], [2, 1], [1, 2]]
    text = {"text": Targets.of(sequences)}
    only, _ = task.loss(scores, lengths, text | {"other": Targets.of([None] * 3)})
    assert only.item() == pytest.approx(task.loss(scores, lengths, text)[0].item())
    both, _ = task.loss(scores, lengths, text | {"other": Targets.of([None, [3], None])})
    row = -np.log(likelihood(scores["other"][1, :4].numpy(), (3,)))
    assert both.item() == pytest.approx(only.item() + 0.25 * row, abs=1e-6)
    nothing, skipped = task.loss(scores, lengths, {})
    assert nothing.item() == 0 and skipped == 0


def test_scores_are_probabilities_and_do_not_depend_on_the_batch() -> None:
    task = make_task({"text": "ab", "other": "abc"})
    waveforms = [torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (4000, 900, 150, 2345)]
    inputs, lengths = pad(waveforms)
    scores, frames = task(inputs, lengths)
    assert list(scores) == ["text", "other"]
    assert frames.tolist() == task.output_lengths(lengths).tolist()
    for row, waveform in enumerate(waveforms):
        single, length = task(waveform[None], torch.tensor([len(waveform)]))
        for head in scores:
            torch.testing.assert_close(scores[head][row, : length[0]], single[head][0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(single[head].exp().sum(-1), torch.ones(1, int(length[0])))
    assert list(task(inputs, lengths, ["other"])[0]) == ["other"]


@pytest.mark.usefixtures("bfloat16")
def test_scores_are_the_mean_of_warped_views_outside_training() -> None:
    task, factors = make_task(), (0.9, 1.1)
    inputs, lengths = pad([torch.randn(4000), torch.randn(2500)])
    x, frames = task.features(inputs, lengths)
    views = []
    for factor in factors:
        band = np.linspace(0, 1, 10)
        knee = 0.8 / max(factor, 1)
        slope = (1 - factor * knee) / (1 - knee)
        position = np.where(band < knee, factor * band, factor * knee + (band - knee) * slope)
        rows = [np.interp(position, band, row) for row in x.flatten(0, 1).detach().numpy()]
        view = torch.from_numpy(np.array(rows, dtype=np.float32)).view_as(x)
        views.append(task.heads["text"](task.encode_features(view, frames)[0]).detach().double().exp())
    expected = (views[0] * views[1]).sqrt()
    expected = expected / expected.sum(-1, keepdim=True)
    plain, _ = task(inputs, lengths)
    for warps, reference in (((1.0,), plain["text"].exp()), (factors, expected)):
        task.warps = warps
        scores, counts = task(inputs, lengths)
        for row, count in enumerate(counts.tolist()):
            got = scores["text"][row, :count].exp().double()
            torch.testing.assert_close(got, reference[row, :count].double(), atol=1e-5, rtol=0)
    together, _ = task.score_features(x, frames, ["text"], together=True)
    torch.testing.assert_close(together["text"], scores["text"])
    assert len(task.train().score_features(x, frames, ["text"])[0]["text"]) == 2


@pytest.mark.parametrize(
    ("features", "bidirectional", "warps", "message"),
    [
        ({"deltas": 0}, True, [0.7], r"task.warps=\[0.7\]: use factors from 0.75 to 1.25, or \[\]"),
        ({"deltas": 1}, True, [1.05], "task.warps needs a log-mel filter bank without energy and derivatives"),
        ({"deltas": 0, "energy": True}, True, [1.05], "without energy"),
        ({"deltas": 0}, False, [1.05], "task.warps needs a bidirectional encoder"),
    ],
)
def test_wrong_warps(features: dict[str, Any], bidirectional: bool, warps: list[float], message: str) -> None:
    config = copy.deepcopy(CONFIG)
    config["features"] |= {"energy": False} | features
    config["encoder"]["bidirectional"] = bidirectional
    config["task"]["warps"] = warps
    with pytest.raises(InputError, match=message):
        CTCTask.from_config(config, {"text": Vocabulary.characters("ab")})


def test_scores_are_float32_under_autocast() -> None:
    task = make_task()
    inputs, lengths = pad([torch.randn(3000), torch.randn(1000)])
    exact, _ = task(inputs, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        scores, _ = task(inputs, lengths)
    assert scores["text"].dtype == torch.float32
    assert (scores["text"] - exact["text"]).abs().max() < 0.03


def test_hypotheses_are_greedy_ones_of_each_head() -> None:
    task = make_task({"text": "ab", "other": "abc"})
    scores = {"text": random_scores(0, 2, 6, 3), "other": random_scores(1, 2, 6, 4)}
    hypotheses = task.hypotheses(scores, torch.tensor([6, 3]))
    for head, log_probs in scores.items():
        assert hypotheses[head] == greedy.search(log_probs.numpy(), np.array([6, 3]))


def test_labels_lie_within_the_utterance_and_the_silence_around_it_is_blank() -> None:
    task = make_task().train()
    inputs, lengths = pad([torch.randn(8000), torch.randn(12000)])
    batch = SpeechBatch(["a", "b"], inputs, lengths, {"text": Targets.of([[1, 2], [2]])})
    padded = SpeechBatch(**vars(batch) | {"padding": torch.tensor([[0, 0], [4000, 4800]])})
    x, frames, _ = task.encode(inputs, lengths)
    scores = task.heads["text"](x)
    silent = task.padded_frames(padded, frames, x.shape[1])
    assert silent is not None and not silent[0].any()
    seconds = (np.flatnonzero(~silent[1, : int(frames[1])].numpy()) + 0.5) * 1.5 / int(frames[1])
    assert seconds[0] == pytest.approx(0.5 - 0.1, abs=0.02) and seconds[-1] == pytest.approx(0.9 + 0.3, abs=0.02)
    blanks = scores[1, silent[1], 0]
    within = scores.clone()
    within[1, silent[1]] = torch.tensor([0.0, -100.0, -100.0])
    expected = task.loss({"text": within}, frames, batch.targets)[0] - blanks.sum() / 3
    torch.testing.assert_close(task.training_loss(padded).value, expected)
    torch.testing.assert_close(task.training_loss(batch).value, task.loss({"text": scores}, frames, batch.targets)[0])


def test_augmentation_is_for_training_only() -> None:
    class Silence(nn.Module):
        changes_time = True

        def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            return torch.zeros_like(features[:, :4]), lengths.clamp(max=4)

    features = FilterBank(8000, num_mels=10, energy=False, deltas=0, normalization="utterance")
    task = CTCTask(features, Encoder(features.dim, 6), {"text": Vocabulary.characters("ab")}, augmentation=[Silence()])
    inputs, lengths = pad([torch.randn(3000)])
    assert task.eval()(inputs, lengths)[1].tolist() == task.output_lengths(lengths).tolist()
    assert task.train()(inputs, lengths)[1].tolist() == [4]


def with_penalty(nats: float) -> CTCTask:
    torch.manual_seed(0)
    features = FilterBank(8000, num_mels=10, energy=False, deltas=0, normalization="utterance")
    vocabularies = {"text": Vocabulary.characters("ab"), "times": Vocabulary.characters("ab")}
    return CTCTask(features, Encoder(features.dim, 6), vocabularies, blank_penalties={"times": nats})


@settings(deadline=None, max_examples=20)
@given(
    labels=st.lists(st.integers(1, 2), max_size=3),
    frames=st.integers(1, 5),
    nats=st.sampled_from([0.0, 0.5, 2.0]),
    seed=st.integers(0, 9999),
)
def test_with_a_penalty_each_blank_of_an_alignment_costs_it(
    labels: list[int], frames: int, nats: float, seed: int
) -> None:
    """Value and gradient, against the sum over all alignments."""
    task = with_penalty(nats)
    head = task.heads["times"]
    x = torch.randn(1, 5, 12, generator=torch.Generator().manual_seed(seed))
    scores = head(x)
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(1, 5))
    loss, skipped = task.loss({"times": scores}, torch.tensor([frames]), {"times": Targets.of([labels])})
    costly = nn.functional.linear(x, head.weight, head.bias).log_softmax(-1)[0]  # type: ignore[arg-type]
    costly = costly - torch.tensor([nats, 0.0, 0.0])
    paths = [path for path in product(range(3), repeat=frames) if collapsed(path) == tuple(labels)]
    assert skipped == (not paths)
    if not paths:
        assert loss.item() == 0
        return
    terms = [torch.stack([costly[t, label] for t, label in enumerate(path)]).sum() for path in paths]
    expected = -torch.logsumexp(torch.stack(terms), 0) / max(len(labels), 1)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    gradients, expected_gradients = (torch.autograd.grad(value, list(head.parameters())) for value in (loss, expected))
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-3, atol=1e-4)


def test_the_head_with_a_penalty_is_the_one_for_times() -> None:
    assert with_penalty(1.5).alignment_head == "times"
    assert with_penalty(0.0).alignment_head == "text"


@pytest.mark.parametrize("nats", [-0.1, math.inf, math.nan])
def test_a_penalty_is_not_below_zero(nats: float) -> None:
    with pytest.raises(InputError, match=r"blank_penalty=.*: use 0 or a positive number of nats per frame"):
        with_penalty(nats)


def test_from_config() -> None:
    task = CTCTask.from_config(CONFIG, {"text": Vocabulary.characters("ab")})
    assert task.encoder.rnn.forwards[0].input_size == 2 * task.features.dim == 44
    assert task.primary == "text" and task.weights == {"text": 1.0}
    assert task.frame_seconds == pytest.approx(0.02)
    names = {"none": None, "masks": {"type": "specaugment"}}
    assert len(CTCTask.from_config(CONFIG | {"augmentation": names}, task.vocabularies).augmentation) == 1


@pytest.mark.parametrize(
    ("group", "changes", "message"),
    [
        ("features", {"type": "mel"}, "features: type='mel' is not one of filterbank, kaldi_fbank, "),
        ("features", {"type": "os.system"}, "features: type='os.system' is not one of"),
        (
            "features",
            {"mels": 3},
            r"features: filterbank has no option mels( \(did you mean num_mels\?\))?; it has .*num_mels",
        ),
        ("task", {"priors": 0.3}, "task: ctc has no option priors; it has .*self_condition"),
        ("encoder", {"input_size": 3}, "encoder: rnn has no option input_size"),
        ("encoder", {"dropout": 2.0}, "dropout=2.0: expected a number from 0 to 1"),
        ("encoder", {"hidden_size": "many"}, "encoder.hidden_size='many': expected a whole number"),
        ("augmentation", {"masks": {"type": "x"}}, r"augmentation\.masks: type='x' is not one of"),
    ],
)
def test_wrong_configurations(group: str, changes: dict[str, Any], message: str) -> None:
    config = copy.deepcopy(CONFIG)
    config[group] = config.get(group, {}) | changes
    with pytest.raises(InputError, match=message):
        CTCTask.from_config(config, {"text": Vocabulary.characters("ab")})


def test_a_task_needs_a_head_with_a_blank() -> None:
    with pytest.raises(InputError, match="at least one head"):
        CTCTask.from_config(CONFIG, {})
