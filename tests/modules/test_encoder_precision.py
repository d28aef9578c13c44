"""The encoder's precision in inference mode, with processors that multiply bfloat16 and others."""

from __future__ import annotations

import pytest
import torch

from asr.errors import InputError
from asr.modules.encoder import Encoder
from asr.utils import precision


@pytest.fixture
def encoders() -> tuple[Encoder, Encoder]:
    """Two encoders with the same weights, of float32 and of bfloat16."""
    torch.manual_seed(0)
    exact, rounded = (
        Encoder(8, 16, 2, channels=[4], stride=2, inference_precision=name).eval() for name in precision.PRECISIONS
    )
    rounded.load_state_dict(exact.state_dict())
    return exact, rounded


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any processor count as one that multiplies bfloat16 faster."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: True)


X, LENGTHS = torch.randn(3, 21, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([21, 9, 14])


@pytest.mark.usefixtures("native", "bfloat16")
def test_bfloat16_rounds_the_outputs_in_inference_mode(encoders: tuple[Encoder, Encoder]) -> None:
    exact, rounded = encoders
    with torch.inference_mode():
        (y, lengths), (z, others) = exact(X, LENGTHS), rounded(X, LENGTHS)
        assert not torch.is_autocast_enabled("cpu")
    assert z.dtype == torch.float32 and lengths.equal(others)
    assert not z.equal(y)
    torch.testing.assert_close(z, y, rtol=0, atol=0.01)  # outputs lie within ±1; bfloat16 has 8 bits


@pytest.mark.usefixtures("native")
def test_gradients_and_training_stay_exact(encoders: tuple[Encoder, Encoder]) -> None:
    exact, rounded = encoders
    assert rounded(X, LENGTHS)[0].equal(exact(X, LENGTHS)[0])
    with torch.no_grad():
        assert rounded.train()(X, LENGTHS)[0].equal(exact.train()(X, LENGTHS)[0])


def test_other_processors_compute_in_float32(
    encoders: tuple[Encoder, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: False)
    exact, rounded = encoders
    with torch.inference_mode():
        assert rounded(X, LENGTHS)[0].equal(exact(X, LENGTHS)[0])


def test_this_processor_is_asked() -> None:
    assert precision.multiplies_bfloat16(torch.device("cpu")) in (True, False)
    assert not precision.multiplies_bfloat16(torch.device("meta"))


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="inference_precision"):
        Encoder(8, inference_precision="float16")
