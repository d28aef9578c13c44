"""The loss of a transducer, forward and backward: ours, torchaudio's where it loads, and a loop of torch's operations.

    python benchmarks/transducer.py [--quick] [--json FILE]

The loop is what can be written in torch without compiled code: a log-sum-exp for each frame and label, over the batch,
whose gradient is autograd's. All start from the same logits, and take turns; their losses and gradients are compared
first. "whole" starts from all logits; "in chunks" computes them from the outputs of the encoder and the prediction
network by a tanh layer, twice, as training does, and has no peer. Then one utterance of 30 s and 1000 labels is run in
a process of its own whose peak memory is measured. Targets: at least as fast as torchaudio, or else as the loop; 4 GiB.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable

import torch
from _common import Report, arguments, medians
from torch import Tensor

from asr.modules.transducer_loss import loss_of_logits, transducer_loss
from asr.utils.torchaudio import import_torchaudio

# utterances, frames, labels of each, vocabulary
CASES = {
    "5 s of characters": (16, 125, 60, 30),
    "10 s of pieces": (8, 250, 50, 500),
    "15 s of characters, one utterance": (1, 500, 200, 30),
}
LONG = (1, 1000, 1000, 1000)  # 30 s in frames of 30 ms
UNITS = 250  # of the tanh layer

Batch = tuple[Tensor, Tensor, Tensor]


def batch(case: tuple[int, int, int, int]) -> Batch:
    """Return labels (N, U), lengths (N,) and label lengths (N,)."""
    rows, frames, count, labels = case
    return torch.randint(1, labels, (rows, count)), torch.full((rows,), frames), torch.full((rows,), count)


def loop_loss(logits: Tensor, labels: Tensor, lengths: Tensor, label_lengths: Tensor) -> Tensor:
    """Return the loss (N,) of full-length utterances, one node of the lattice after the other."""
    log_probs = logits.log_softmax(-1)
    index = labels[:, None, :, None].expand(-1, logits.shape[1], -1, 1)
    emits, blanks = log_probs[:, :, :-1].gather(3, index)[..., 0], log_probs[..., 0]
    columns = torch.cat([torch.zeros_like(blanks[:, 0, :1]), emits[:, 0].cumsum(1)], 1).unbind(1)
    for t in range(1, logits.shape[1]):
        stays = [column + blanks[:, t - 1, u] for u, column in enumerate(columns)]
        row = [stays[0]]
        for u in range(1, len(stays)):
            row.append(torch.logaddexp(stays[u], row[-1] + emits[:, t, u - 1]))
        columns = tuple(row)
    return -(columns[-1] + blanks[:, -1, -1])


def torchaudio_loss() -> Callable[..., Tensor] | None:
    """Return torchaudio's loss, None where it does not load."""
    try:
        import_torchaudio()
        from torchaudio.functional import rnnt_loss

        rnnt_loss(torch.zeros(1, 1, 2, 2), *(torch.ones(s, dtype=torch.int32) for s in ((1, 1), 1, 1)), blank=0)
    except (ImportError, AttributeError, RuntimeError, OSError):
        return None

    def loss(logits: Tensor, *integers: Tensor) -> Tensor:
        return rnnt_loss(logits, *(x.to(torch.int32) for x in integers), blank=0, reduction="none")

    return loss


def run(loss: Callable[..., Tensor], logits: Tensor, data: Batch) -> tuple[Tensor, Tensor]:
    """Return the losses and their gradient by the logits."""
    leaf = logits.detach().requires_grad_()
    nll = loss(leaf, *data)
    nll.sum().backward()
    assert leaf.grad is not None
    return nll.detach(), leaf.grad


def in_chunks(case: tuple[int, int, int, int], data: Batch) -> None:
    """Run the loss from the outputs of the encoder and the prediction network on."""
    rows, frames, count, labels = case
    encoded = torch.randn(rows, frames, UNITS, requires_grad=True)
    predicted = torch.randn(rows, count + 1, UNITS, requires_grad=True)
    output = torch.nn.Linear(UNITS, labels)

    def network(part: Tensor, states: Tensor) -> Tensor:
        return output((part[:, None] + states[None]).tanh())

    transducer_loss(network, encoded, predicted, *data, parameters=[*output.parameters()], width=UNITS).sum().backward()


def main() -> None:
    """Run the benchmark."""
    if sys.argv[1:] == ["--memory"]:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        in_chunks(LONG, batch(LONG))
        print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    options = arguments(__doc__)
    report = Report()
    torchaudio = torchaudio_loss()
    theirs, peer = (loop_loss, "torch loop") if torchaudio is None else (torchaudio, "torchaudio")
    for name, case in CASES.items():
        if options.quick:
            case = (case[0], case[1] // 5, case[2] // 5, case[3])
        torch.manual_seed(0)
        data = batch(case)
        logits = torch.randn(case[0], case[1], case[2] + 1, case[3])
        for one, other in zip(run(loss_of_logits, logits, data), run(theirs, logits, data), strict=True):
            torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
        ours, peers = medians(
            lambda data=data, logits=logits: run(loss_of_logits, logits, data),
            lambda data=data, logits=logits: run(theirs, logits, data),
            repeats=3,
        )
        report.add(f"{name}, whole", 1000 * ours, 1000 * peers, peer, "ms")
        (chunked,) = medians(lambda case=case, data=data: in_chunks(case, data), repeats=3)
        print(f"{name}, in chunks, with the tanh layer: {1000 * chunked:.4g} ms")
    if not options.quick:
        command = [sys.executable, __file__, "--memory"]
        before, peak = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        print(f"{LONG[1]} frames, {LONG[2]} labels of {LONG[3]}: {peak / 2**20:.2f} GiB, {before / 2**20:.2f} without")
    report.write(options.json)


if __name__ == "__main__":
    main()
