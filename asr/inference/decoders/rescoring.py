"""A second pass over the n best texts of a search, by a neural language model of whole texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from asr.decoding.ctc.fusion import WordModel
from asr.decoding.hypothesis import Hypothesis

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

        The n best texts of a search begin alike: a beginning that several share is read once.
        """
        eos, network = self.task.eos, self.task.eval().network
        units = [(*self.task.vocabulary.encode(text), eos) for text in texts]
        totals = np.zeros(len(units))
        rows: dict[tuple[int, ...], int] = {(): 0}  # row of each beginning that is read
        log_probs, state = network.step(network.start(1), torch.tensor([eos], device=network.device))
        for length in range(max(map(len, units))):
            going = [number for number, text in enumerate(units) if length < len(text)]
            before = [rows[units[number][:length]] for number in going]
            labels = [units[number][length] for number in going]
            totals[going] += log_probs[before, labels].cpu().numpy()
            # beginnings one unit longer, of the texts that do not end there, and the row of what they extend
            longer = {
                units[number][: length + 1]: row
                for number, row in zip(going, before, strict=True)
                if length + 1 < len(units[number])
            }
            if not longer:
                break
            rows = {beginning: row for row, beginning in enumerate(longer)}
            selected = network.select(state, torch.tensor(list(longer.values()), device=network.device))
            last = torch.tensor([beginning[-1] for beginning in longer], device=network.device)
            log_probs, state = network.step(selected, last)
        return totals
