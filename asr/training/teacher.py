"""Learn from a teacher that hears each utterance as it is (Li et al. 2017, arXiv 1708.05466, section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from asr.data.batch import SpeechBatch
from asr.errors import InputError
from asr.features.specaugment import SpectrogramWarp
from asr.models import store
from asr.models.directory import find
from asr.tasks.ctc import CTCTask
from asr.utils.masks import length_mask


class Teacher:
    """A trained recognizer whose scores of the utterances as they are a student learns while it hears them perturbed.

    Called with a batch and the student's scores, it returns a loss. It needs no transcripts. Of several warped views
    (`CTCTask`) one is drawn for each batch: over many batches the student learns their mean at the price of one. Heads
    that the teacher does not have learn from transcripts alone.

    Args:
        task: the teacher; its weights stay as they are.
        weight: factor of the divergence in the loss.
        head_weights: share of each head in it.
    """

    def __init__(self, task: CTCTask, weight: float, head_weights: Mapping[str, float]) -> None:
        self.task = task.eval().requires_grad_(False)
        self.warps = task.warps
        self.weight = weight
        self.head_weights = head_weights

    @classmethod
    def load(cls, path: str | Path, student: CTCTask, weight: float) -> Teacher:
        """Load the teacher of a student.

        Raises:
            InputError: ``path`` has no CTC model, or one whose scores cannot be compared with the student's.
        """
        task = store.load(find(path), CTCTask)
        same = {head: v for head, v in task.vocabularies.items() if head in student.vocabularies}
        if not same:
            raise InputError(
                f"data.teacher={path}: has the heads {', '.join(task.vocabularies)}, of which this network has none"
            )
        for head, vocabulary in same.items():
            if vocabulary.tokens != student.vocabularies[head].tokens:
                raise InputError(f"data.teacher={path}: head {head} has other labels than this configuration's")
        if (seconds := task.frame_seconds) != student.frame_seconds:
            raise InputError(
                f"data.teacher={path}: has a frame every {seconds:g} s; this network has one every "
                f"{student.frame_seconds:g} s"
            )
        for augment in student.augmentation:
            if isinstance(augment, SpectrogramWarp) and augment.tempo:
                raise InputError(
                    f"tempo={augment.tempo} with data.teacher: use augmentation.warp.tempo=0, as teacher and student "
                    "have to read the same frames"
                )
        return cls(task, weight, student.weights)

    def __call__(self, batch: SpeechBatch, scores: Mapping[str, Tensor]) -> Tensor:
        """Compute the Kullback-Leibler divergence of the student's scores from the teacher's.

        Args:
            batch: with `SpeechBatch.clean`.
            scores: log-probabilities of the student (views * N, T', V) by head, the first view of all utterances first.

        Returns:
            Scalar: nats, the mean over the frames of the batch, summed over heads and weighted.
        """
        assert batch.clean is not None
        if self.warps:
            drawn = int(torch.randint(len(self.warps), ()))
            self.task.warps = self.warps[drawn : drawn + 1]
        heads = [head for head in scores if head in self.task.vocabularies]
        with torch.no_grad():
            right, lengths = self.task.to(batch.clean.device)(batch.clean, batch.lengths, heads)
        mask = length_mask(lengths.to(batch.clean.device), next(iter(right.values())).shape[1])  # (N, T')
        total = batch.clean.new_zeros(())
        for head, log_probs in right.items():
            views = scores[head].unflatten(0, (-1, len(mask)))  # (views, N, T', V)
            nats = F.kl_div(views, log_probs.expand_as(views), reduction="none", log_target=True).sum(-1)
            total = total + self.head_weights[head] * nats[:, mask].mean()
        return self.weight * total
