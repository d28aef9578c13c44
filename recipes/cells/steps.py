"""Measure a training step of trained recognizers: forward and backward pass of a minute of speech.

    python recipes/cells/steps.py runs/cells-*/seed=1

Prints milliseconds of computing on one thread, the least of several steps, which other programs on the machine disturb
less than the time on the clock. The speech is noise and the labels are arbitrary: the time of a step does not depend on
them.
"""

from __future__ import annotations

import sys
import time

import torch

from asr.data.batch import SpeechBatch, Targets
from asr.models import store
from asr.models.directory import find
from asr.tasks.ctc import CTCTask

UTTERANCES, SECONDS, LABELS_A_SECOND = 4, 15, 10
STEPS = 7


def milliseconds(run: str) -> float:
    """Return the computing time of a step of the model of a run."""
    task = store.load(find(run), CTCTask).train()
    sample_rate = task.features.sample_rate
    inputs = torch.randn(UTTERANCES, SECONDS * sample_rate)
    targets = {
        head: Targets.of([[1 + n % (len(labels) - 1) for n in range(SECONDS * LABELS_A_SECOND)]] * UTTERANCES)
        for head, labels in task.vocabularies.items()
    }
    lengths = torch.full((UTTERANCES,), SECONDS * sample_rate)
    batch = SpeechBatch([str(row) for row in range(UTTERANCES)], inputs, lengths, targets)
    times = []
    for _ in range(STEPS):
        began = time.process_time()
        task.training_loss(batch).value.backward()
        times.append(time.process_time() - began)
        task.zero_grad()
    return 1000 * min(times)


def main() -> None:
    """Print a line for each run."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for run in sys.argv[1:]:
        print(f"{run:32} {milliseconds(run):6.0f} ms", flush=True)


if __name__ == "__main__":
    main()
