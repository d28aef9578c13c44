"""One training step, forward and backward, of a 3 x 250 BLSTM on a ragged batch: ours and PackedSequence.

    python benchmarks/train_step.py [--quick] [--json FILE]

The peer is the same network with the same weights, as ``pack_padded_sequence`` around ``nn.LSTM(bidirectional=True)``,
which SpeechBrain and deepspeech.pytorch use. Both flush denormals, run on torch's default number of threads, and take
turns; their outputs and gradients are compared first.

Rows of GFLOP/s compare ours with one large matrix product in the same precision. "executed" counts the products that
our stack computes, padding included; "useful" those of the frames within each utterance's length. Targets: 3 times
the peer in float32 and 5 times in bfloat16; in float32 0.75 of the matrix product, executed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from _common import Report, arguments, medians
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr.modules.rnn import RNN
from asr.utils.threads import flush_denormals

INPUTS, HIDDEN, LAYERS = 123, 250, 3
MATRIX = 2048

# Batches of 16 in frames of 10 ms. The bucketed ones came from asr.data.sampler.BucketSampler (seed 1, first
# epoch, jitter 0.1), the middle one by length, over the durations of 1078 AN4 and of 2178 LibriSpeech utterances (parts
# of train-clean-100 and dev-clean); 9 % of them is padding, as over the whole epoch. The unsorted one was drawn from
# the LibriSpeech durations at random: 42 % padding, which only ours computes and which does not occur in training.
BATCHES = {
    "AN4, bucketed": [249, 249, 259, 249, 269, 239, 239, 249, 279, 249, 239, 279, 259, 279, 239, 269],
    "LibriSpeech, bucketed": [949, 958, 985, 874, 881, 1038, 934, 1057, 912, 949, 1009, 896, 1035, 894, 907, 884],
    "LibriSpeech, unsorted": [1256, 289, 1455, 1480, 532, 838, 1110, 636, 401, 1197, 209, 1534, 1406, 1299, 374, 332],
}


class Packed(nn.Module):
    """The peer: (N, T, F) and lengths (N,) to (N, T, 2H)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(INPUTS, HIDDEN, LAYERS, bidirectional=True, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]


def step(network: nn.Module, x: Tensor, lengths: Tensor, gradient: Tensor, precision: torch.dtype) -> Tensor:
    """Run forward and backward from the ``gradient`` of a loss by the outputs; return the outputs."""
    network.zero_grad()
    cast: AbstractContextManager[object] = nullcontext()
    if precision != torch.float32:
        cast = torch.autocast("cpu", precision)
    with cast:
        y = network(x, lengths)
    y.backward(gradient.to(y.dtype))
    return y.detach()


def require_equal(ours: RNN, peer: Packed, *batch: Tensor, precision: torch.dtype) -> None:
    """Stop unless outputs and gradients agree, relative to their norm."""
    limit = 1e-4 if precision == torch.float32 else 5e-2
    mine, theirs = step(ours, *batch, precision), step(peer, *batch, precision)
    pairs = {"outputs": (mine.float(), theirs.float())}
    for layers, suffix in ((ours.forwards, ""), (ours.backwards, "_reverse")):
        for number, layer in enumerate(layers):
            for name, parameter in layer.named_parameters():  # weight_ih_l0, …
                name = f"{name[:-1]}{number}{suffix}"
                pairs[f"gradients of {name}"] = parameter.grad, peer.lstm.get_parameter(name).grad
    for name, (a, b) in pairs.items():
        difference = float((a - b).norm() / b.norm())
        if not difference < limit:
            raise SystemExit(f"{precision}: {name} differ by {difference:.2g}, more than {limit}")


def flops(frames: int) -> float:
    """Return the operations of a step's matrix products: two a weight and frame, forward and for each gradient."""
    total = 0
    for layer in range(LAYERS):
        size = INPUTS if layer == 0 else 2 * HIDDEN
        weights = 2 * 4 * HIDDEN * (size + HIDDEN)
        skipped = 2 * 4 * HIDDEN * INPUTS if layer == 0 else 0  # the gradient by the features
        total += 2 * (3 * weights - skipped)
    return float(total) * frames


def main() -> None:
    options = arguments(__doc__)
    flush_denormals()
    torch.manual_seed(0)
    peer = Packed()
    ours = RNN.from_torch(peer.lstm)
    report = Report()
    for name, frames in list(BATCHES.items())[: 1 if options.quick else None]:
        lengths = torch.tensor(frames)
        x = torch.randn(len(frames), max(frames), INPUTS)
        gradient = torch.randn(len(frames), max(frames), 2 * HIDDEN)
        for precision in torch.float32, torch.bfloat16:
            batch = x, lengths, gradient
            require_equal(ours, peer, *batch, precision=precision)
            left, right = torch.randn(2, MATRIX, MATRIX, dtype=precision)
            mine, theirs, product = medians(
                lambda batch=batch, precision=precision: step(ours, *batch, precision),
                lambda batch=batch, precision=precision: step(peer, *batch, precision),
                lambda left=left, right=right: left @ right,
                repeats=3,
            )
            kind = str(precision).removeprefix("torch.")
            case = f"{name}, {kind}"
            report.add(case, mine, theirs, "PackedSequence", "s")
            rate = 2e-9 * MATRIX**3 / product
            for what, count in (("executed", len(frames) * max(frames)), ("useful", sum(frames))):
                peer_name = f"{kind} matrix product"
                report.add(f"{case}, {what}", 1e-9 * flops(count) / mine, rate, peer_name, "GFLOP/s", True)
    report.write(options.json)


if __name__ == "__main__":
    main()
