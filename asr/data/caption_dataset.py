"""Images with captions as training examples; outputs of a frozen image encoder are computed once and kept on disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from asr.data import image_files
from asr.data.batch import pad
from asr.data.caption_manifest import CaptionedImage
from asr.data.pairs import Seq2SeqBatch
from asr.text.outside import log_skipped
from asr.text.vocabulary import Vocabulary
from asr.utils.atomic import atomic_path

log = logging.getLogger(__name__)

BATCH = 32  # images that are encoded together
View = Callable[[int], Tensor]  # number of an image to the model's input

VIEWS = ("plain", "mirrored")  # of an image; the first is the image as it is


def batches(paths: Sequence[str], size: int, view: str = "plain") -> Iterator[Tensor]:
    """Yield images (N, 3, size, size) uint8 of files, `BATCH` at a time.

    Raises:
        InputError: a file that cannot be read; it is named.
    """
    for begin in range(0, len(paths), BATCH):
        images = torch.stack([image_files.read(path, size) for path in paths[begin : begin + BATCH]])
        yield images.flip(-1) if view == "mirrored" else images


@torch.inference_mode()
def cached_grids(encoder: nn.Module, items: Sequence[CaptionedImage], size: int, folder: Path, view: str) -> np.ndarray:
    """Compute the encoder's outputs for all images, or read them from a file of the folder.

    The file's name is a hash of the weights, the images' names, the size and the view, so that nothing is computed
    twice. (An image file that is replaced by another of its name is not noticed.)

    Args:
        encoder: maps (N, 3, size, size) uint8 to (N, P, C) float32, P places with C channels.
        items: the images.
        size: pixels of a side.
        folder: of the cache files.
        view: one of `VIEWS`.

    Returns:
        (images, P, C) float16, memory-mapped.

    Raises:
        InputError: an image that cannot be read.
    """
    paths = [item.image for item in items]
    path = folder / f"{fingerprint(encoder, [*paths, str(size), view])}.npy"
    if not path.exists():
        log.info("encoding %d images (%s), once, to %s", len(paths), view, path)
        encoder.eval()
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for number, images in enumerate(batches(paths, size, view)):
                grid = encoder(images).half().numpy()
                if number == 0:
                    shape = (len(paths), *grid.shape[1:])
                    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(grid.tobytes())
    return np.load(path, mmap_mode="r")


def fingerprint(encoder: nn.Module, names: Sequence[str]) -> str:
    """Hash the weights of an encoder and some names to 16 hexadecimal digits."""
    digest = hashlib.sha256("\n".join(names).encode())
    for name, value in encoder.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


class Pictures:
    """Images read from their files whenever they are used: the inputs of an encoder that is trained.

    Args:
        items: the images.
        size: pixels of a side.
        view: one of `VIEWS`.
    """

    def __init__(self, items: Sequence[CaptionedImage], size: int, view: str = "plain") -> None:
        self.paths, self.size, self.view = [item.image for item in items], size, view

    def __call__(self, number: int) -> Tensor:
        """Read an image by its number: (3, size, size) uint8. Raises InputError if it cannot be read."""
        (image,) = next(batches(self.paths[number : number + 1], self.size, self.view))
        return image


class Grids:
    """Outputs of a frozen encoder.

    Args:
        grids: (images, P, C) float16, as `cached_grids` returns them.
        pooled: use only the mean over the places of each image, which is kept in memory.
    """

    def __init__(self, grids: np.ndarray, pooled: bool) -> None:
        self.grids = grids
        self.means = np.stack([grid.astype(np.float32).mean(0, keepdims=True) for grid in grids]) if pooled else None

    def __call__(self, number: int) -> Tensor:
        """Return the outputs for an image by its number: (P, C), or (1, C) if pooled, float32."""
        values = self.means[number] if self.means is not None else self.grids[number].astype(np.float32)
        return torch.from_numpy(values)


class CaptionDataset(Dataset[tuple[int, Tensor, Tensor]]):
    """Captions with their images: number of the image, the model's input, and labels (U,) with <eos> at both ends.

    An item is read by its index, or by (epoch, index) in training, where (seed, epoch, index) choose one of the views.

    Args:
        items: images with their captions.
        views: functions from an image's number to the model's input; the first is for evaluation.
        vocabulary: of the captions, with <eos>.
        first_only: use only the first caption of each image.
        seed: of the choice of views.

    Raises:
        InputError: a caption outside the vocabulary; the image is named.
    """

    def __init__(
        self,
        items: Sequence[CaptionedImage],
        views: Sequence[View],
        vocabulary: Vocabulary,
        *,
        first_only: bool = False,
        seed: int = 0,
    ) -> None:
        assert vocabulary.eos is not None
        self.items, self.views, self.seed = list(items), list(views), seed
        end = torch.tensor([vocabulary.eos])
        captions = [
            (number, text)
            for number, item in enumerate(items)
            for text in (item.captions[:1] if first_only else item.captions)
        ]
        self.examples = [
            (number, torch.cat([end, torch.tensor(vocabulary.encode(text, items[number].id)), end]))
            for number, text in captions
        ]
        log_skipped(vocabulary, ((items[number].id, text) for number, text in captions))

    @property
    def sizes(self) -> list[int]:
        """Number of labels of each example."""
        return [len(labels) for _, labels in self.examples]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[int, Tensor, Tensor]:
        epoch, index = key if isinstance(key, tuple) else (None, key)
        number, labels = self.examples[index]
        chosen = 0 if epoch is None else np.random.default_rng([self.seed, epoch, index]).integers(len(self.views))
        return number, self.views[chosen](number), labels

    def collate(self, examples: Sequence[tuple[int, Tensor, Tensor]]) -> Seq2SeqBatch:
        """Make a padded batch of examples."""
        numbers, views, labels = zip(*examples, strict=True)
        inputs = torch.stack(views)
        padded, sizes = pad(labels)
        return Seq2SeqBatch(
            ids=[self.items[number].id for number in numbers],
            inputs=inputs,
            lengths=torch.full((len(inputs),), inputs.shape[1]),
            labels=padded,
            ends=sizes - 1,
            references=[self.items[number].captions for number in numbers],
        )
