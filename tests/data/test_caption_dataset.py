"""Images as training examples: grids that are computed once, views, batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from asr.data import image_files
from asr.data.caption_dataset import CaptionDataset, Grids, Pictures, cached_grids
from asr.data.caption_manifest import CaptionedImage
from asr.errors import InputError
from asr.modules.mobilenet import MobileNetV2
from asr.text.vocabulary import EOS, Vocabulary

WORDS = Vocabulary.words_of(["a red square", "a blue square"], specials=(EOS,))


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[CaptionedImage]:
    folder = tmp_path_factory.mktemp("images")
    items = []
    for number, color in enumerate(["red", "blue"]):
        image = Image.new("RGB", (64, 64), color)
        image.paste("white", (0, 0, 20, 64))  # on the left
        image.save(folder / f"{color}.png")
        items.append(CaptionedImage(str(number), str(folder / f"{color}.png"), (f"a {color} square", "a square")))
    return items


@pytest.fixture(scope="module")
def encoder() -> MobileNetV2:
    torch.manual_seed(1)
    return MobileNetV2(10).eval()


def test_grids_are_computed_once(items: list[CaptionedImage], encoder: MobileNetV2, tmp_path: Path) -> None:
    grids = cached_grids(encoder, items, 64, tmp_path, "plain")
    images = torch.stack([image_files.read(item.image, 64) for item in items])
    np.testing.assert_allclose(grids, encoder(images).detach().numpy(), atol=1e-3, rtol=1e-2)
    (file,) = tmp_path.iterdir()
    modified = file.stat().st_mtime_ns
    again = cached_grids(encoder, items, 64, tmp_path, "plain")
    assert np.array_equal(again, grids) and file.stat().st_mtime_ns == modified
    cached_grids(encoder, items, 64, tmp_path, "mirrored")
    cached_grids(encoder, items, 32, tmp_path, "plain")
    cached_grids(encoder, items[:1], 64, tmp_path, "plain")
    cached_grids(MobileNetV2(10), items, 64, tmp_path, "plain")
    assert len(list(tmp_path.iterdir())) == 5


def test_nothing_is_left_of_a_cache_that_failed(
    items: list[CaptionedImage], encoder: MobileNetV2, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    with pytest.raises(InputError, match=r"bad\.png: cannot be read as an image"):
        cached_grids(encoder, [*items, CaptionedImage("bad", str(bad), ("a",))], 32, tmp_path / "cache", "plain")
    assert not list((tmp_path / "cache").iterdir())


def test_views(items: list[CaptionedImage]) -> None:
    plain, mirrored = Pictures(items, 64), Pictures(items, 64, "mirrored")
    assert torch.equal(plain(0).flip(-1), mirrored(0)) and not torch.equal(plain(0), mirrored(0))
    data = CaptionDataset(items, [plain, mirrored], WORDS, seed=3)
    seen = {bool(torch.equal(data[(epoch, 0)][1], plain(0))) for epoch in range(20)}
    assert seen == {True, False}
    assert torch.equal(data[(5, 0)][1], data[(5, 0)][1])
    assert all(torch.equal(data[0][1], plain(0)) for _ in range(5))  # no draw when scoring


def test_a_batch(items: list[CaptionedImage]) -> None:
    grids = Grids(np.arange(2 * 4 * 3, dtype=np.float16).reshape(2, 4, 3), pooled=True)
    data = CaptionDataset(items, [grids], WORDS)
    assert data.sizes == [5, 4, 5, 4] and len(CaptionDataset(items, [grids], WORDS, first_only=True)) == 2
    batch = data.collate([data[0], data[3]])
    assert batch.inputs.tolist() == [[[4.5, 5.5, 6.5]], [[16.5, 17.5, 18.5]]]
    captions = [WORDS.encode("a red square"), WORDS.encode("a square")]
    assert batch.labels.tolist() == [[0, *captions[0], 0], [0, *captions[1], 0, 0]] and batch.ends.tolist() == [4, 3]
    assert batch.references == [items[0].captions, items[1].captions] and batch.ids == ["0", "1"]
