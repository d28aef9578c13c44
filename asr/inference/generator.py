"""A loaded language model that writes text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from asr.decoding.label.sampling import Sampling
from asr.errors import InputError
from asr.models import directory, store
from asr.tasks.language import LanguageTask
from asr.text.vocabulary import log_skipped

CONTEXT = 8  # labels that tell whether a piece begins a word

__all__ = ["Generator", "Sampling", "load"]


def load(model: str | Path, *, device: str = "cpu") -> Generator:
    """The writer of a language model's directory, or of the run that holds one. Raises InputError for anything else."""
    return Generator(store.on_device(store.load(directory.find(model), LanguageTask), device))


class Generator:
    """Writes with one task."""

    def __init__(self, task: LanguageTask) -> None:
        self.task = task.eval()

    def write(
        self, prompt: str = "", options: Sampling | None = None, *, max_length: int = 500, seed: int | None = None
    ) -> Iterator[str]:
        """The text behind a prompt, in parts as they come, of at most ``max_length`` labels.

        Raises InputError, at once, for a prompt with characters that the model does not know.
        """
        random = torch.Generator()
        random.seed() if seed is None else random.manual_seed(seed)
        try:
            written = self.task.vocabulary.encode(prompt)
            log_skipped(self.task.vocabulary, [("", prompt)])
        except InputError as error:
            raise InputError(f"prompt: {error}") from error
        return self._write(written, options or Sampling(), max_length, random)

    @torch.inference_mode()
    def _write(self, written: list[int], options: Sampling, most: int, random: torch.Generator) -> Iterator[str]:
        decode = self.task.vocabulary.decode
        label, state = self.task.read_prompt(written)
        told = len(written)
        for _ in range(most):
            log_probs, state = self.task.network.step(state, label)
            chosen, _ = options.draw(log_probs, random)
            if int(chosen) == self.task.eos:
                return
            label = chosen.to(label.device)
            written.append(int(chosen))
            first = max(0, told - CONTEXT)
            before, now = decode(written[first:told]), decode(written[first:])
            if now.startswith(before) and not now.endswith("\ufffd"):  # else these are the first bytes of a character
                yield now[len(before) :]
                told = len(written)
