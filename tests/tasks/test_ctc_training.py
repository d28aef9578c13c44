"""What CTC training adds to the loss: lower layers' posteriors (self-conditioning), a second view (CR-CTC)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asr.data.batch import SpeechBatch, Targets, pad
from asr.errors import InputError
from asr.features import FilterBank
from asr.features.specaugment import SpecAugment, SpectrogramWarp
from asr.modules.ctc_crf import estimate_trigram, log_partition
from asr.modules.encoder import Encoder
from asr.tasks.base import Loss
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary


def training_loss(task: CTCTask, inputs: torch.Tensor, lengths: torch.Tensor, targets: dict[str, Targets]) -> Loss:
    """The training loss of a batch without names."""
    return task.training_loss(SpeechBatch([""] * len(inputs), inputs, lengths, targets))


def conditioned(layers: tuple[int, ...], weight: float = 0.5) -> CTCTask:
    torch.manual_seed(0)
    features = FilterBank(8000, num_mels=10, deltas=0, normalization="utterance")
    vocabularies = {"text": Vocabulary.characters("ab"), "other": Vocabulary.characters("abc")}
    return CTCTask(
        features,
        Encoder(features.dim, 6, num_layers=3),
        vocabularies,
        self_condition=layers,
        self_condition_weight=weight,
    ).eval()


def test_self_conditioning_adds_the_posteriors_of_lower_layers() -> None:
    """Against the same network written layer by layer with nn.LSTM, one utterance at a time."""
    task = conditioned((1, 2), weight=0.25)
    inputs, lengths = pad([torch.randn(3000), torch.randn(1200)])
    targets = {"text": Targets.of([[1, 2, 1], [2]]), "other": Targets.of([[3], None])}
    scores, frames = task(inputs, lengths)
    layers: list[dict[str, list[Tensor]]] = [{"text": [], "other": []} for _ in range(3)]
    rnn = task.encoder.rnn
    for row, length in enumerate(lengths):
        x, own = task.features(inputs[row : row + 1, :length], torch.tensor([int(length)]))
        x = x[:, : int(own)]
        for layer, scores_of_layer in enumerate(layers):
            x = x.transpose(0, 1)  # (T, 1, F)
            backwards = rnn.backwards[layer](x.flip(0))[0].flip(0)
            x = torch.cat([rnn.forwards[layer](x)[0], backwards], -1).transpose(0, 1)
            posteriors = {head: linear(x).softmax(-1) for head, linear in task.heads.items()}
            for head, posterior in posteriors.items():
                scores_of_layer[head].append(posterior.log()[0])
            if layer < 2:
                x = x + sum(posteriors[head] @ task.feedback[head].weight.T for head in posteriors)
    for head in scores:
        for row, length in enumerate(frames):
            torch.testing.assert_close(scores[head][row, :length], layers[2][head][row], rtol=1e-4, atol=1e-5)
    losses = []
    for by_head in layers:
        padded = {head: nn.utils.rnn.pad_sequence(rows, batch_first=True) for head, rows in by_head.items()}
        losses.append(task.loss(padded, frames, targets)[0])
    expected = 0.75 * losses[2] + 0.25 * (losses[0] + losses[1]) / 2
    torch.testing.assert_close(training_loss(task, inputs, lengths, targets).value, expected)


def test_without_self_conditioning_the_loss_is_that_of_the_scores() -> None:
    task = conditioned(())
    assert not [name for name, _ in task.named_parameters() if name.startswith("feedback")]
    inputs, lengths = pad([torch.randn(3000), torch.randn(1200)])
    targets = {"text": Targets.of([[1, 2, 1], [2]])}
    scores, frames = task(inputs, lengths)
    assert torch.equal(training_loss(task, inputs, lengths, targets).value, task.loss(scores, frames, targets)[0])


@pytest.mark.parametrize("layers", [(0,), (3,), (1, -1)])
def test_self_conditioning_is_below_the_last_layer(layers: tuple[int, ...]) -> None:
    with pytest.raises(
        InputError, match=r"task.self_condition=.* with encoder.num_layers=3: use layers from 1 to 2, below"
    ):
        conditioned(layers)
    with pytest.raises(InputError, match=r"self_condition_weight=1\.0"):
        conditioned((), weight=1.0)


def consistent(weight: float, *augmentation: nn.Module, **options: Any) -> CTCTask:
    torch.manual_seed(0)
    features = FilterBank(8000, num_mels=10, deltas=0, normalization="utterance")
    vocabularies = {"text": Vocabulary.characters("ab"), "other": Vocabulary.characters("abc")}
    encoder = Encoder(features.dim, 6, num_layers=2)
    weights = {"text": 1.0, "other": 0.5}
    return CTCTask(
        features, encoder, vocabularies, weights=weights, augmentation=augmentation, consistency=weight, **options
    )


BATCH = pad([torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (3000, 1200)])
TARGETS = {"text": Targets.of([[1, 2, 1], [2]]), "other": Targets.of([[3], None])}


@pytest.mark.parametrize("options", [{}, {"self_condition": [1]}])
def test_equal_views_add_nothing(options: dict[str, Any]) -> None:
    alone = training_loss(consistent(0.0, **options), *BATCH, TARGETS).value
    twice = training_loss(consistent(0.7, **options), *BATCH, TARGETS).value
    torch.testing.assert_close(twice, alone)


def test_views_differ_by_masks_and_not_by_time() -> None:
    masks, warp = SpecAugment(time_masks=3, time_width=9), SpectrogramWarp(0.3, 0.1)
    task = consistent(0.2, masks, warp).train()  # whatever their order
    x, lengths, _ = task.encode(*BATCH, views=2)
    assert len(x) == 4 and lengths.tolist() == 2 * lengths[:2].tolist()
    assert lengths[:2].tolist() != task.output_lengths(BATCH[1]).tolist()
    assert not torch.equal(x[:2], x[2:])
    assert [len(scores) for scores in task(*BATCH)[0].values()] == [2, 2]


def test_views_add_their_divergence_per_label() -> None:
    """The consistency loss of CR-CTC written out; the other view is a constant of the gradient."""
    masks = SpecAugment(time_masks=3, time_width=9)
    task = consistent(0.7, masks).train()
    torch.manual_seed(5)
    x, lengths, _ = task.encode(*BATCH, views=2)
    scores = {head: linear(x) for head, linear in task.heads.items()}
    views = ({head: rows[:2] for head, rows in scores.items()}, {head: rows[2:] for head, rows in scores.items()})
    expected = torch.stack([task.loss(view, lengths[:2], TARGETS)[0] for view in views]).mean()
    for head, share, labels, rows in (("text", 1.0, 4, 1.0), ("other", 0.5, 1, 0.5)):
        nats = torch.zeros(())
        for n in range(2):
            for row, other in ((n, 2 + n), (2 + n, n)):
                p, q = scores[head][other, : lengths[n]].detach(), scores[head][row, : lengths[n]]
                nats = nats + (p.exp() * (p - q)).sum() / 2
        expected = expected + 0.7 * share * nats / labels * rows
    torch.manual_seed(5)
    result = training_loss(task, *BATCH, TARGETS)
    loss = result.value
    assert result.skipped == 0
    torch.testing.assert_close(loss, expected)
    parameters = [p for p in task.parameters() if p.requires_grad]
    gradients, expected_gradients = (torch.autograd.grad(value, parameters) for value in (loss, expected))
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-6)


def test_an_impossible_utterance_of_two_views_is_counted_once() -> None:
    task = consistent(0.2)
    inputs, lengths = pad([torch.randn(3000), torch.randn(400)])
    frames = int(task.output_lengths(lengths)[1])
    assert training_loss(task, inputs, lengths, {"text": Targets.of([[1], [1] * frames])}).skipped == 1


def test_consistency_is_not_negative() -> None:
    with pytest.raises(InputError, match=r"consistency=-0\.1"):
        consistent(-0.1)


def test_crf_adds_the_log_of_the_sum_over_label_sequences() -> None:
    """Of the last layer, per label, times its weight; the loss of dev data is CTC's."""
    task = conditioned((1,), weight=0.25)
    task.crf, model = {"text": 0.5}, estimate_trigram([[1, 2, 1], [2]], 3, 0)
    inputs, lengths = pad([torch.randn(3000), torch.randn(1200)])
    targets = {"text": Targets.of([[1, 2, 1], [2]]), "other": Targets.of([[3], None])}
    plain = training_loss(task, inputs, lengths, targets).value
    task.label_models = {"text": model}
    scores, frames = task(inputs, lengths)
    competitors = log_partition(scores["text"], frames, model, 0).sum() / 4
    expected = plain + 0.75 * 0.5 * competitors
    torch.testing.assert_close(training_loss(task, inputs, lengths, targets).value, expected)
    batch = SpeechBatch(["", ""], inputs, lengths, targets)
    torch.testing.assert_close(task.validation_step(batch).means["dev_loss"][0], task.loss(scores, frames, targets)[0])


def test_crf_leaves_out_utterances_too_short_for_their_labels() -> None:
    task = conditioned((1,))
    task.crf, task.label_models = {"text": 1.0}, {"text": estimate_trigram([[1, 2]], 3, 0)}
    inputs, lengths = pad([torch.randn(3000), torch.randn(400)])
    long, both = Targets.of([[1, 2], None]), Targets.of([[1, 2], [1, 2] * 40])
    scores, frames = task(inputs, lengths)
    only = task._loss_of_competitors("text", scores["text"], frames, long, None)
    found = task._loss_of_competitors("text", scores["text"], frames, both, None)
    assert 82 * found.item() == pytest.approx(2 * only.item())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crf": {"text": 1.5}}, r"task\.heads\.text\.crf=1\.5: use a number from 0 \(CTC\) to 1 \(CTC-CRF\)"),
        ({"crf": {"text": 1.0}, "blank_penalties": {"text": 1.0}}, "crf and blank_penalty exclude each other"),
    ],
)
def test_options_of_crf(options: dict[str, Any], message: str) -> None:
    features = FilterBank(8000, num_mels=10, deltas=0)
    with pytest.raises(InputError, match=message):
        CTCTask(features, Encoder(features.dim, 6), {"text": Vocabulary.characters("ab")}, **options)


def test_crf_is_for_small_vocabularies() -> None:
    features = FilterBank(8000, num_mels=10, deltas=0)
    words = Vocabulary.characters("".join(chr(0x4E00 + i) for i in range(200)))
    with pytest.raises(InputError, match="crf is possible for 128 labels, this head has 201"):
        CTCTask(features, Encoder(features.dim, 6), {"text": words}, crf={"text": 1.0})
