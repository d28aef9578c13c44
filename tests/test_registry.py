"""Objects from configuration: what is checked before a constructor is called, and which errors are the user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
import torch

from asr.errors import InputError
from asr.registry import build, check

if TYPE_CHECKING:
    from asr.missing import Unknown  # type: ignore


class Layer:
    """A constructor with options of several types."""

    __module__ = "asr.layer"

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        channels: Sequence[int] = (),
        path: str | None = None,
        other: Unknown = None,
    ) -> None:
        if dropout > 1:
            raise InputError(f"dropout={dropout}: expected a number from 0 to 1")
        if size == 13:
            raise ValueError("a fault of the program")
        if size == 17:
            raise TypeError("a fault of the program")
        self.options = (inputs, size, dropout, bias, channels, path, other)


REGISTRY = {"layer": Layer, "label_rnn": Layer}


def test_options_and_given_arguments_reach_the_constructor() -> None:
    config = {"type": "layer", "size": 3, "dropout": 1, "channels": [2, 4], "path": None, "other": [1]}
    assert build(REGISTRY, config, "encoder", inputs=7).options == (7, 3, 1, True, [2, 4], None, [1])
    assert config["type"] == "layer"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "lyer"}, r"^encoder: type='lyer' is not one of layer, label_rnn \(did you mean layer\?\)$"),
        ({"type": None}, r"^encoder: type=None is not one of layer, label_rnn$"),
        ({"sizes": 3}, r"^encoder: layer has no option sizes \(did you mean size\?\); it has size, dropout, bias,"),
        ({"inputs": 3}, r"^encoder: layer has no option inputs; it has size,"),
        ({"size": "3"}, r"^encoder.size='3': expected a whole number$"),
        ({"size": True}, r"^encoder.size=True: expected a whole number$"),
        ({"bias": "no"}, r"^encoder.bias='no': expected true or false$"),
        ({"dropout": None}, r"^encoder.dropout=None: expected a number$"),
        ({"channels": 3}, r"^encoder.channels=3: expected a list of whole numbers$"),
        ({"path": 3}, r"^encoder.path=3: expected a string or null$"),
        ({"dropout": 2}, r"^dropout=2: expected a number from 0 to 1$"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(REGISTRY, {"type": "layer", "size": 3, **options}, "encoder", inputs=7)


def test_a_required_option_is_named() -> None:
    with pytest.raises(InputError, match=r"^encoder: layer needs the option size$"):
        check(REGISTRY, {"type": "layer"}, "encoder", given=["inputs"])


@pytest.mark.parametrize(("size", "error"), [(13, ValueError), (17, TypeError)])
def test_faults_of_our_own_constructors_stay_what_they_are(size: int, error: type[Exception]) -> None:
    with pytest.raises(error, match="a fault of the program") as raised:
        build(REGISTRY, {"type": "layer", "size": size}, "encoder", inputs=7)
    assert not isinstance(raised.value, InputError)


def test_values_that_torch_refuses_are_the_users() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1))]
    with pytest.raises(InputError, match=r"^optimizer: adamw: Invalid learning rate: -1"):
        build({"adamw": torch.optim.AdamW}, {"type": "adamw", "lr": -1.0}, "optimizer", params=weights)
    both = {"type": "adamw", "fused": True, "foreach": True}
    with pytest.raises(InputError, match=r"^optimizer: adamw: `fused` and `foreach` cannot be `True` together"):
        build({"adamw": torch.optim.AdamW}, both, "optimizer", params=weights)
    with pytest.raises(InputError, match=r"^optimizer.betas=\[0.9\]: expected a list of 2 "):
        build({"adamw": torch.optim.AdamW}, {"type": "adamw", "betas": [0.9]}, "optimizer", params=weights)
