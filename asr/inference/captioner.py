"""Loaded captioners that say what is in images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from asr.data import image_files
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.label.beam import LabelBeamOptions
from asr.errors import InputError
from asr.models import directory, store
from asr.tasks.captioning import CaptioningTask, common_encoder
from asr.tasks.encoder_decoder import search

BATCH = 16  # images that are searched together


@dataclass(frozen=True)
class Caption:
    """What a model says of an image, with the natural log of how likely it finds that (as its search compares it).

    ``attention`` (words, rows, columns) is where in the image it looked for each word, None of a model that has none.
    """

    text: str
    score: float
    attention: Tensor | None = None


def load(*models: str | Path, device: str = "cpu") -> Captioner:
    """The captioner of a model directory or run, or of several that search together (an ensemble).

    Raises InputError for anything else.
    """
    tasks = [store.load(directory.find(model), CaptioningTask) for model in models]
    return Captioner([store.on_device(task, device) for task in tasks])


class Captioner:
    """Writes captions with one task, or several of the same vocabulary and size of images."""

    def __init__(self, tasks: Sequence[CaptioningTask]) -> None:
        self.tasks = [task.eval() for task in tasks]
        if len(sizes := sorted({task.image_size for task in tasks})) > 1:
            raise InputError(f"models that write together must read images of one size, not of {sizes}")
        self.encode = common_encoder(self.tasks)

    def caption(
        self, paths: Sequence[str | Path], *, nbest: int = 1, beam: int | None = None, attention: bool = False
    ) -> Iterator[tuple[int, list[Caption] | InputError]]:
        """(index, captions, best first) of each image file; (index, error) of one that cannot be read.

        With ``attention``, where the model looked for the words of the best caption; InputError, before any work,
        unless it is one model that attends to images.
        """
        if attention and (len(self.tasks) > 1 or self.tasks[0].places is None):
            raise InputError("attention can be shown of one model that has it (task.attention)")
        options = self.tasks[0].options
        beam = beam or max(options.beam, nbest)
        return self._caption(paths, replace(options, beam=beam, nbest=nbest), attention)

    def _caption(
        self, paths: Sequence[str | Path], options: LabelBeamOptions, attention: bool
    ) -> Iterator[tuple[int, list[Caption] | InputError]]:
        size, device = self.tasks[0].image_size, self.tasks[0].network.device
        for begin in range(0, len(paths), BATCH):
            pictures: dict[int, Tensor] = {}
            for index in range(begin, min(begin + BATCH, len(paths))):
                try:
                    pictures[index] = image_files.read(paths[index], size)
                except InputError as error:
                    yield index, error
            if not pictures:
                continue
            inputs = self.encode(torch.stack(list(pictures.values())).to(device))
            found = search(self.tasks, inputs, torch.ones(len(inputs)), options)
            for row, (index, hypotheses) in enumerate(zip(pictures, found, strict=True)):
                looked = self._looked(inputs[row : row + 1], hypotheses[0]) if attention else None
                yield index, self._captions(hypotheses, looked)

    def _captions(self, hypotheses: Sequence[Hypothesis], looked: Tensor | None) -> list[Caption]:
        decode = self.tasks[0].vocabulary.decode
        best, *others = (Caption(decode(h.labels), h.score) for h in hypotheses)
        return [replace(best, attention=looked), *others]

    @torch.inference_mode()
    def _looked(self, grid: Tensor, hypothesis: Hypothesis) -> Tensor:
        """Where the model looks (labels, rows, columns) for each label, of an image's grid (1, places, channels)."""
        task = self.tasks[0]
        state = task.encode_state(grid, torch.ones(1))
        weights = []
        for label in (task.eos, *hypothesis.labels[:-1]):
            _, then = task.network.step(state, torch.tensor([label], device=grid.device))
            weights.append(then.attended - state.attended)  # type: ignore[operator]
            state = then
        side = round(weights[0].shape[1] ** 0.5)
        return torch.cat(weights).reshape(-1, side, side).cpu()
