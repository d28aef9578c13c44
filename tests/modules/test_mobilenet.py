"""MobileNetV2: torchvision's names and shapes, both kinds of padding, files of weights and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from asr.errors import InputError
from asr.modules.mobilenet import MobileNetV2, _SameConv2d

# of torchvision.models.mobilenet_v2(), 0.15
SHAPES = {
    "features.0.0.weight": (32, 3, 3, 3),
    "features.0.1.running_var": (32,),
    "features.1.conv.0.0.weight": (32, 1, 3, 3),
    "features.1.conv.1.weight": (16, 32, 1, 1),
    "features.1.conv.2.bias": (16,),
    "features.2.conv.0.0.weight": (96, 16, 1, 1),
    "features.2.conv.1.0.weight": (96, 1, 3, 3),
    "features.2.conv.1.1.num_batches_tracked": (),
    "features.2.conv.2.weight": (24, 96, 1, 1),
    "features.2.conv.3.weight": (24,),
    "features.7.conv.2.weight": (64, 192, 1, 1),
    "features.17.conv.2.weight": (320, 960, 1, 1),
    "features.18.0.weight": (1280, 320, 1, 1),
    "features.18.1.running_mean": (1280,),
    "classifier.1.weight": (1000, 1280),
    "classifier.1.bias": (1000,),
}


@pytest.fixture(scope="module")
def network() -> MobileNetV2:
    torch.manual_seed(0)
    return MobileNetV2().eval()


@pytest.fixture(scope="module")
def other() -> MobileNetV2:
    """Another one, to load weights into."""
    return MobileNetV2(same_padding=True).eval()


def images(count: int, size: int = 64) -> torch.Tensor:
    return torch.randint(256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def class_probs(network: MobileNetV2, x: torch.Tensor) -> torch.Tensor:
    """Probabilities (N, num_classes) of what images (N, 3, S, S) show."""
    return network.classifier(network(x).mean(1)).softmax(-1)


def test_parameters_are_torchvisions(network: MobileNetV2) -> None:
    state = network.state_dict()
    assert {name: tuple(state[name].shape) for name in SHAPES} == SHAPES
    assert len(state) == 314 and sum(p.numel() for p in network.parameters()) == 3_504_872


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 9), width=st.integers(1, 9), stride=st.sampled_from([1, 2, 3]))
def test_same_padding_is_the_sum_that_tensorflow_gives(height: int, width: int, stride: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(height, width))
    convolution = _SameConv2d(1, 1, 3, stride, bias=False)
    kernel = convolution.weight.detach().numpy()[0, 0]
    expected = np.zeros((-(-height // stride), -(-width // stride)))

    def first(size: int) -> int:  # https://www.tensorflow.org/api_docs/python/tf/nn: SAME
        return -(max(3 - (size % stride or stride), 0) // 2)

    for i, j in np.ndindex(*expected.shape):
        for a, b in np.ndindex(3, 3):
            row, column = first(height) + i * stride + a, first(width) + j * stride + b
            if 0 <= row < height and 0 <= column < width:
                expected[i, j] += x[row, column] * kernel[a, b]
    output = convolution(torch.tensor(x, dtype=torch.float32)[None, None])[0, 0]
    np.testing.assert_allclose(output.detach().numpy(), expected, atol=1e-5)


def test_only_strided_convolutions_are_padded_otherwise(network: MobileNetV2, other: MobileNetV2) -> None:
    other.load_state_dict(network.state_dict())
    strided = [module for module in other.modules() if isinstance(module, _SameConv2d)]
    assert [module.stride for module in strided] == [(2, 2)] * 5
    x = torch.randn(1, 3, 65, 65)  # an odd size is padded on both sides, but only the first layer's is odd
    torch.testing.assert_close(other.features[0](x), network.features[0](x))
    assert not torch.allclose(other.features[0](x[..., :64, :64]), network.features[0](x[..., :64, :64]))


@pytest.mark.parametrize(("size", "places"), [(64, 4), (96, 9), (100, 16)])
def test_grid(network: MobileNetV2, size: int, places: int) -> None:
    with torch.inference_mode():
        grid = network(images(2, size))
    assert grid.shape == (2, places, 1280) and grid.dtype == torch.float32


def test_grid_goes_row_by_row_and_classes_by_its_mean(network: MobileNetV2) -> None:
    x = images(3)
    normalized = (x / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
        :, None, None
    ]
    with torch.inference_mode():
        map = network.features(normalized)
        torch.testing.assert_close(network(x)[:, 2], map[:, :, 1, 0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(network(x / 255), network(x))
        expected = network.classifier(map.mean((2, 3))).softmax(-1)
        torch.testing.assert_close(class_probs(network, x), expected, atol=1e-5, rtol=1e-3)


def test_tensorflow_normalization() -> None:
    network = MobileNetV2(normalization="tensorflow")
    x = images(1)[0]
    torch.testing.assert_close((x / 255 - network.mean) / network.deviation, x / 127.5 - 1)
    with pytest.raises(InputError, match="normalization='keras' is not one of tensorflow, torchvision"):
        MobileNetV2(normalization="keras")


def test_training_keeps_the_statistics_of_batch_normalization() -> None:
    network = MobileNetV2(2).train()
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(images(2, 32)).sum().backward()
    assert network.classifier.training and all((value == before[name]).all() for name, value in network.named_buffers())
    assert all(p.grad is not None for p in network.features.parameters())


@pytest.mark.parametrize(("name", "half"), [("weights.safetensors", True), ("weights.pth", False)])
def test_weights_of_a_file(network: MobileNetV2, other: MobileNetV2, tmp_path: Path, name: str, half: bool) -> None:
    state = network.state_dict()
    if half:
        state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    del state["features.0.1.num_batches_tracked"]  # files of old versions of torchvision lack it
    (save_file if half else torch.save)(state, tmp_path / name)
    torch.nn.init.zeros_(other.get_submodule("features.18.0").get_parameter("weight"))
    other.load_weights(tmp_path / name)
    assert all(value.dtype == torch.float32 for value in other.parameters())
    for key, value in other.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[key], atol=1e-3 if half else 0, rtol=1e-3 if half else 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.pop("features.3.conv.2.weight"),
            r"features\.3\.conv\.2\.weight is missing, shape \(24, 144, 1, 1\) is expected",
        ),
        (lambda state: state.update(more=torch.zeros(2)), r"more of shape \(2,\) is not a parameter of this network"),
        (
            lambda state: state.update({"classifier.1.weight": torch.zeros(1001, 1280)}),
            r"classifier\.1\.weight has shape \(1001, 1280\), \(1000, 1280\) is expected",
        ),
    ],
)
def test_weights_that_do_not_fit(
    network: MobileNetV2, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None], message: str
) -> None:
    state = dict(network.state_dict())
    change(state)
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=rf"a\.safetensors: {message}"):
        network.load_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("content", [None, b"", b"neither", b"\x80\x02}q\x00."])
def test_files_that_hold_no_weights(network: MobileNetV2, tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        network.load_weights(tmp_path / name)


def test_a_pickle_of_something_else(network: MobileNetV2, tmp_path: Path) -> None:
    torch.save({"state_dict": [1]}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth: not a state dictionary"):
        network.load_weights(tmp_path / "a.pth")
    torch.save(nn.Linear(1, 1), tmp_path / "b.pth")  # code, which is not run
    with pytest.raises(InputError, match=r"b\.pth: neither safetensors nor a state dictionary"):
        network.load_weights(tmp_path / "b.pth")


def test_pretrained_weights(shared_data: Path) -> None:
    path = shared_data / "mobilenet_v2" / "mobilenet_v2_imagenet1001_fp16.safetensors"
    if not path.is_file():
        pytest.skip(f"no {path}")
    network = MobileNetV2(1001, same_padding=True, normalization="tensorflow").eval()
    network.load_weights(path)
    assert torch.equal(network.get_parameter("classifier.1.weight"), load_file(path)["classifier.1.weight"].float())
    dog = shared_data / "flickr8k" / "images" / "3336361161_c06cdd160e.webp"
    if not dog.is_file():
        pytest.skip(f"no {dog}")
    from PIL import Image

    image = torch.from_numpy(np.array(Image.open(dog).convert("RGB"))).permute(2, 0, 1)
    labels = (path.parent / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    with torch.inference_mode():
        assert "corgi" in labels[int(class_probs(network, image[None]).argmax())]
