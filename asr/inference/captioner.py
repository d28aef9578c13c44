"""Run image captioners: captions of images, and where the model attended for each word."""

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
from asr.output import caption_sheet
from asr.output.caption_sheet import Entry
from asr.tasks.captioning import CaptioningTask, common_encoder
from asr.tasks.encoder_decoder import search

BATCH_SIZE = 16  # images that are searched together


@dataclass(frozen=True)
class Caption:
    """A caption of an image.

    Attributes:
        text: its words.
        score: natural log, by which the search ranks it.
        attention: (words, rows, columns): the weights of the places of the image for each word; None if not asked for.
    """

    text: str
    score: float
    attention: Tensor | None = None


class Captioner:
    """Writes captions of images.

    Args:
        tasks: one task, or several of the same vocabulary and image size that search together (an ensemble).

    Raises:
        InputError: the tasks read images of different sizes.
    """

    def __init__(self, tasks: Sequence[CaptioningTask]) -> None:
        self.tasks = [task.eval() for task in tasks]
        if len(sizes := sorted({task.image_size for task in tasks})) > 1:
            raise InputError(f"models of an ensemble must read images of one size; these read sizes {sizes}")
        self.encode = common_encoder(self.tasks)

    @classmethod
    def load(cls, model: str | Path, *, device: str = "cpu", ensemble: Sequence[str | Path] = ()) -> Captioner:
        """Load a captioner.

        Args:
            model: a model directory, or the directory of a training run.
            device: of torch: cpu, cuda, cuda:1 …
            ensemble: further models of the same vocabulary and image size, which search together with it.

        Raises:
            InputError: a path that holds no captioner, models that do not fit together, or a device that cannot be
                used.
        """
        tasks = [store.load(directory.find(path), CaptioningTask) for path in (model, *ensemble)]
        return cls([store.on_device(task, device) for task in tasks])

    def caption(
        self, path: str | Path, *, nbest: int = 1, beam: int | None = None, attention: bool = False
    ) -> list[Caption]:
        """Return the captions of one image file, best first; see `caption_all`.

        Raises:
            InputError: the file cannot be read, or what `caption_all` raises.
        """
        ((_, result),) = self.caption_all([path], nbest=nbest, beam=beam, attention=attention)
        if isinstance(result, InputError):
            raise result
        return result

    def caption_all(
        self, paths: Sequence[str | Path], *, nbest: int = 1, beam: int | None = None, attention: bool = False
    ) -> Iterator[tuple[int, list[Caption] | InputError]]:
        """Write captions of many image files, in batches.

        Args:
            paths: image files.
            nbest: number of captions for each.
            beam: width of the search; None: the model's own, or ``nbest`` if that is more.
            attention: compute the attention of the best caption of each image.

        Yields:
            The index of an image and its captions, best first, or the error of one that cannot be read.

        Raises:
            InputError: at once, for a beam narrower than ``nbest``, and for ``attention`` of an ensemble or of a model
                without attention.
        """
        if attention and (len(self.tasks) > 1 or self.tasks[0].places is None):
            raise InputError("attention can be shown of one model that has it (task.attention), not of an ensemble")
        options = self.tasks[0].options
        options = replace(options, beam=beam or max(options.beam, nbest), nbest=nbest)
        return self._caption(paths, options, attention)

    def _caption(
        self, paths: Sequence[str | Path], options: LabelBeamOptions, attention: bool
    ) -> Iterator[tuple[int, list[Caption] | InputError]]:
        size, device = self.tasks[0].image_size, self.tasks[0].network.device
        for begin in range(0, len(paths), BATCH_SIZE):
            images: dict[int, Tensor] = {}
            for index in range(begin, min(begin + BATCH_SIZE, len(paths))):
                try:
                    images[index] = image_files.read(paths[index], size)
                except InputError as error:
                    yield index, error
            if not images:
                continue
            inputs = self.encode(torch.stack(list(images.values())).to(device))
            n_best_lists = search(self.tasks, inputs, torch.ones(len(inputs)), options)
            for row, (index, hypotheses) in enumerate(zip(images, n_best_lists, strict=True)):
                weights = self._attention(inputs[row : row + 1], hypotheses[0]) if attention else None
                yield index, self._captions(hypotheses, weights)

    def _captions(self, hypotheses: Sequence[Hypothesis], attention: Tensor | None) -> list[Caption]:
        decode = self.tasks[0].vocabulary.decode
        best, *others = (Caption(decode(h.labels), h.score) for h in hypotheses)
        return [replace(best, attention=attention), *others]

    @torch.inference_mode()
    def _attention(self, grid: Tensor, hypothesis: Hypothesis) -> Tensor:
        """Attention (labels, rows, columns) of each label, given the grid (1, places, channels) of an image."""
        task = self.tasks[0]
        state = task.encode_state(grid, torch.ones(1))
        weights = []
        for label in (task.eos, *hypothesis.labels[:-1]):
            _, next_state = task.network.step(state, torch.tensor([label], device=grid.device))
            weights.append(next_state.attended - state.attended)  # type: ignore[operator]
            state = next_state
        side = round(weights[0].shape[1] ** 0.5)
        return torch.cat(weights).reshape(-1, side, side).cpu()


def caption_images(
    paths: Sequence[str | Path],
    model: str | Path,
    *,
    ensemble: Sequence[str | Path] = (),
    nbest: int = 1,
    beam: int | None = None,
    html: Path | None = None,
    attention_dir: Path | None = None,
    device: str = "cpu",
) -> Iterator[tuple[int, list[Caption] | InputError]]:
    """Write captions of image files with a model directory (`asr caption`).

    Args:
        paths: image files.
        model: as in `Captioner.load`.
        ensemble: as in `Captioner.load`.
        nbest: as in `Captioner.caption_all`.
        beam: as in `Captioner.caption_all`.
        html: file for a page with the images and their captions, written after the last one.
        attention_dir: folder for a picture of each image's attention, called after the image file's stem.
        device: as in `Captioner.load`.

    Returns:
        An iterator over the results, see `Captioner.caption_all`; the files are written as it advances.

    Raises:
        InputError: several images whose attention would go to one file, and what `Captioner.load` and
            `Captioner.caption_all` raise.
    """
    stems = [Path(path).stem for path in paths]
    if attention_dir is not None and (same := next((stem for stem in stems if stems.count(stem) > 1), None)):
        raise InputError(f"several images are called {same}; their attention would be written to one file")
    captioner = Captioner.load(model, device=device, ensemble=ensemble)
    results = captioner.caption_all(paths, nbest=nbest, beam=beam, attention=attention_dir is not None)
    return _write_sheets(paths, results, html, attention_dir)


def _write_sheets(
    paths: Sequence[str | Path],
    results: Iterator[tuple[int, list[Caption] | InputError]],
    html: Path | None,
    attention_dir: Path | None,
) -> Iterator[tuple[int, list[Caption] | InputError]]:
    """Pass results on, and write the page and the pictures of attention."""
    entries: list[Entry] = []
    for index, result in results:
        if not isinstance(result, InputError):
            path, best = str(paths[index]), result[0]
            entries.append(Entry(path, best.text, [caption.text for caption in result[1:]]))
            if attention_dir is not None and best.attention is not None:
                picture = attention_dir / f"{Path(path).stem}.png"
                caption_sheet.write_attention(picture, path, best.text.split(), best.attention)
        yield index, result
    if html is not None and entries:
        caption_sheet.write_page(html, [("", entries)])
