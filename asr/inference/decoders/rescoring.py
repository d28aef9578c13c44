"""A second pass over the n best texts of a search, by a neural language model of whole texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from asr.decoding.ctc.fusion import WordModel
from asr.decoding.hypothesis import Hypothesis
from asr.utils.masks import length_mask
from asr.utils.precision import inference_precision

if TYPE_CHECKING:
    from asr.tasks.language import LanguageTask


@dataclass(frozen=True)
class Rescoring:
    """A language model that takes a share of the n-gram model's part in the score of whole texts.

    With the share w, the factor α of the n-gram model of words and a text of words W, the score changes by
    α w (ln P_network(W) - ln P_ngram(W)): the two models are interpolated in the log domain.

    Args:
        task: the language model, whose units spell the words.
        weight: share of the network, from 0 to 1.
        nbest: number of texts of a search that are scored.
    """

    task: LanguageTask
    weight: float = 0.5
    nbest: int = 20

    def reorder(
        self, hypotheses: Sequence[Hypothesis], texts: Sequence[Sequence[str]], words: WordModel
    ) -> list[Hypothesis]:
        """Return hypotheses with their new scores, best first.

        Args:
            hypotheses: of one search.
            texts: the words of each.
            words: the model of words whose n-gram model has scored them.
        """
        if len(hypotheses) < 2 or not self.weight or words.ngram is None:
            return list(hypotheses)
        network = self.log_probs([" ".join(text) for text in texts])
        ngram = np.array([words.ngram.log_probs(text).sum() for text in texts])
        changes = words.weight * self.weight * (network - ngram)
        found = [
            replace(hypothesis, score=hypothesis.score + change, model_score=hypothesis.model_score + change)
            for hypothesis, change in zip(hypotheses, changes.tolist(), strict=True)
        ]
        return sorted(found, key=lambda hypothesis: -hypothesis.score)

    @torch.inference_mode()
    def log_probs(self, texts: Sequence[str]) -> np.ndarray:
        """Return the natural-log probability (texts,) float64 of each text and its end.

        All texts are read at once: label by label the output layer's weights would be fetched from memory for each. The
        products are in bfloat16 where the processor has it, which changes a text by some hundredths of a nat.
        """
        eos, network = self.task.eos, self.task.eval().network
        units = [[eos, *self.task.vocabulary.encode(text), eos] for text in texts]
        lengths = torch.tensor([len(text) - 1 for text in units])
        rows = pad_sequence([torch.tensor(text) for text in units], batch_first=True).to(network.device)
        with inference_precision("bfloat16", network.device):
            log_probs = network.log_probs_of(rows[:, :-1], rows[:, 1:], network.start(len(rows))).double().cpu()
        totals: np.ndarray = log_probs.masked_fill(~length_mask(lengths, log_probs.shape[1]), 0).sum(1).numpy()
        return totals
