"""Run language models: generate text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from asr.decoding.label.sampling import Sampling
from asr.errors import InputError
from asr.models import directory, store
from asr.tasks.language import LanguageTask
from asr.text.outside import log_skipped

CONTEXT_LABELS = 8  # that are decoded again with a new one, which tells whether it begins a word


class Generator:
    """Generates text with one language model.

    Args:
        task: the network; it stays on its device.
    """

    def __init__(self, task: LanguageTask) -> None:
        self.task = task.eval()

    @classmethod
    def load(cls, model: str | Path, *, device: str = "cpu") -> Generator:
        """Load a language model.

        Args:
            model: a model directory, or the directory of a training run.
            device: of torch: cpu, cuda, cuda:1 …

        Raises:
            InputError: a path that holds no language model, or a device that cannot be used.
        """
        return cls(store.on_device(store.load(directory.find(model), LanguageTask), device))

    def stream(
        self, prompt: str = "", sampling: Sampling | None = None, *, max_length: int = 500, seed: int | None = None
    ) -> Iterator[str]:
        """Generate the continuation of a prompt in parts, as they are drawn.

        Args:
            prompt: the beginning of the text.
            sampling: how labels are drawn; None: from the model's probabilities.
            max_length: number of labels after which the text ends at the latest.
            seed: of the random draws; None: another text each time.

        Yields:
            Parts of the text after the prompt.

        Raises:
            InputError: at once, for a prompt with characters that the model does not know.
        """
        random = torch.Generator()
        random.seed() if seed is None else random.manual_seed(seed)
        try:
            labels = self.task.vocabulary.encode(prompt)
            log_skipped(self.task.vocabulary, [("", prompt)])
        except InputError as error:
            raise InputError(f"prompt: {error}") from error
        return self._stream(labels, sampling or Sampling(), max_length, random)

    def generate(
        self, prompt: str = "", sampling: Sampling | None = None, *, max_length: int = 500, seed: int | None = None
    ) -> str:
        """Generate the continuation of a prompt; see `stream` for arguments and errors."""
        return "".join(self.stream(prompt, sampling, max_length=max_length, seed=seed))

    def generate_all(
        self,
        prompts: Sequence[str],
        sampling: Sampling | None = None,
        *,
        max_length: int = 500,
        seed: int | None = None,
    ) -> Iterator[tuple[int, str | InputError]]:
        """Generate the continuations of many prompts, one after another.

        Args:
            prompts: the beginnings of the texts.
            sampling: as in `stream`.
            max_length: as in `stream`.
            seed: of the first text; each further one has the next.

        Yields:
            The index of a prompt and the text after it, or the error of a prompt that the model cannot read.
        """
        for index, prompt in enumerate(prompts):
            try:
                yield index, self.generate(prompt, sampling, max_length=max_length, seed=_nth_seed(seed, index))
            except InputError as error:
                yield index, error

    @torch.inference_mode()
    def _stream(self, labels: list[int], sampling: Sampling, max_length: int, random: torch.Generator) -> Iterator[str]:
        decode = self.task.vocabulary.decode
        label, state = self.task.read_prompt(labels)
        decoded = len(labels)  # labels whose text has been passed on
        for _ in range(max_length):
            log_probs, state = self.task.network.step(state, label)
            drawn, _ = sampling.draw(log_probs, random)
            if int(drawn) == self.task.eos:
                return
            label = drawn.to(label.device)
            labels.append(int(drawn))
            first = max(0, decoded - CONTEXT_LABELS)
            before, now = decode(labels[first:decoded]), decode(labels[first:])
            if now.startswith(before) and not now.endswith("\ufffd"):  # else these are the first bytes of a character
                yield now[len(before) :]
                decoded = len(labels)


def generate_text(
    model: str | Path,
    prompt: str = "",
    *,
    sampling: Sampling | None = None,
    max_length: int = 500,
    count: int = 1,
    seed: int | None = None,
    device: str = "cpu",
) -> Iterator[Iterator[str]]:
    """Generate texts with a model directory (`asr generate`).

    Args:
        model: as in `Generator.load`.
        prompt: as in `Generator.stream`.
        sampling: as in `Generator.stream`.
        max_length: as in `Generator.stream`.
        count: number of texts.
        seed: of the first text; each further one has the next. None: other texts each time.
        device: as in `Generator.load`.

    Returns:
        An iterator over the texts, each an iterator over its parts after the prompt, as they are drawn.

    Raises:
        InputError: what `Generator.load` raises, and as the texts are asked for what `Generator.stream` raises.
    """
    generator = Generator.load(model, device=device)
    return (
        generator.stream(prompt, sampling, max_length=max_length, seed=_nth_seed(seed, number))
        for number in range(count)
    )


def _nth_seed(seed: int | None, number: int) -> int | None:
    return None if seed is None else seed + number
