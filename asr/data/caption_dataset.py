"""Images with captions as training examples: what an encoder makes of them is computed once and kept on disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from asr.data import image_files
from asr.data.batch import pad
from asr.data.caption_manifest import CaptionedImage
from asr.data.pairs import Seq2SeqBatch
from asr.modules.mobilenet import MobileNetV2
from asr.text.vocabulary import Vocabulary
from asr.utils.atomic import atomic_path

log = logging.getLogger(__name__)

BATCH = 32  # images that are encoded together
View = Callable[[int], Tensor]  # what is read of the image of a number

# ways to look at a picture, the first of which is as it is
VIEWS = ("plain", "mirrored")


def batches(paths: Sequence[str], size: int, view: str = "plain") -> Iterator[Tensor]:
    """Pictures (N, 3, size, size) uint8 of some files at a time; InputError naming one that cannot be read."""
    for begin in range(0, len(paths), BATCH):
        pictures = torch.stack([image_files.read(path, size) for path in paths[begin : begin + BATCH]])
        yield pictures.flip(-1) if view == "mirrored" else pictures


@torch.inference_mode()
def cached_grids(
    encoder: MobileNetV2, items: Sequence[CaptionedImage], size: int, folder: Path, view: str
) -> np.ndarray:
    """The grids (images, places, channels) float16 that the encoder writes for a view, in a file of the folder.

    The file's name tells of the weights, the images, the size and the view: what is there already is not computed
    again. (An image file that is replaced by another of its name is not noticed.)
    """
    paths = [item.image for item in items]
    path = folder / f"{fingerprint(encoder, [*paths, str(size), view])}.npy"
    if not path.exists():
        log.info("encoding %d images (%s), once, to %s", len(paths), view, path)
        encoder.eval()
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for number, pictures in enumerate(batches(paths, size, view)):
                grid = encoder(pictures).half().numpy()
                if number == 0:
                    shape = (len(paths), *grid.shape[1:])
                    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(grid.tobytes())
    return np.load(path, mmap_mode="r")


def fingerprint(encoder: MobileNetV2, names: Sequence[str]) -> str:
    """A short name of the weights of an encoder, and of some names."""
    digest = hashlib.sha256("\n".join(names).encode())
    for name, value in encoder.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


class Pictures:
    """The pictures themselves, read from their files each time they are asked for: for an encoder that is trained."""

    def __init__(self, items: Sequence[CaptionedImage], size: int, view: str = "plain") -> None:
        self.paths, self.size, self.view = [item.image for item in items], size, view

    def __call__(self, number: int) -> Tensor:
        (picture,) = next(batches(self.paths[number : number + 1], self.size, self.view))
        return picture


class Grids:
    """Grids as the encoder writes them; with ``pooled``, the mean of each alone, which is kept in memory."""

    def __init__(self, grids: np.ndarray, pooled: bool) -> None:
        self.grids = grids
        self.means = np.stack([grid.astype(np.float32).mean(0, keepdims=True) for grid in grids]) if pooled else None

    def __call__(self, number: int) -> Tensor:
        values = self.means[number] if self.means is not None else self.grids[number].astype(np.float32)
        return torch.from_numpy(values)


class CaptionDataset(Dataset[tuple[int, Tensor, Tensor]]):
    """Captions with their images: number of the image, what is read of it, labels with <eos> on both ends.

    An item is asked for by its index, or by (epoch, index) in training: then which of the ``views`` is read depends on
    (seed, epoch, index). ``one`` takes one caption an image.
    """

    def __init__(
        self,
        items: Sequence[CaptionedImage],
        views: Sequence[View],
        vocabulary: Vocabulary,
        *,
        one: bool = False,
        seed: int = 0,
    ) -> None:
        assert vocabulary.eos is not None
        self.items, self.views, self.seed = list(items), list(views), seed
        end = torch.tensor([vocabulary.eos])
        self.examples = [
            (number, torch.cat([end, torch.tensor(vocabulary.encode(text, item.id)), end]))
            for number, item in enumerate(items)
            for text in (item.captions[:1] if one else item.captions)
        ]

    @property
    def sizes(self) -> list[int]:
        """Labels of each example."""
        return [len(labels) for _, labels in self.examples]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[int, Tensor, Tensor]:
        epoch, index = key if isinstance(key, tuple) else (None, key)
        number, labels = self.examples[index]
        chosen = 0 if epoch is None else np.random.default_rng([self.seed, epoch, index]).integers(len(self.views))
        return number, self.views[chosen](number), labels

    def collate(self, examples: Sequence[tuple[int, Tensor, Tensor]]) -> Seq2SeqBatch:
        """A padded batch of examples."""
        numbers, read, labels = zip(*examples, strict=True)
        inputs = torch.stack(read)
        padded, sizes = pad(labels)
        return Seq2SeqBatch(
            ids=[self.items[number].id for number in numbers],
            inputs=inputs,
            lengths=torch.full((len(inputs),), inputs.shape[1]),
            labels=padded,
            ends=sizes - 1,
            references=[self.items[number].captions for number in numbers],
        )
