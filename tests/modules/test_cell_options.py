"""Options of recurrent cells: periods, first weights, what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from asr.errors import InputError
from asr.modules.cells import CELLS, CellOptions, make_layers
from asr.modules.cells.initialization import INITIALIZATIONS
from asr.modules.cells.simple import ClockworkRNN
from asr.modules.encoder import Encoder
from asr.modules.label_rnn import LabelRNN
from asr.modules.rnn import RNN


def test_periods() -> None:
    layer = ClockworkRNN(3, 7, periods=[9, 1, 3])
    assert layer.periods.tolist() == [1, 1, 1, 3, 3, 9, 9]
    assert ClockworkRNN(3, 2).periods.tolist() == [1, 4]
    with pytest.raises(InputError, match=r"periods=\[0\]: positive integers"):
        ClockworkRNN(3, 7, periods=[0])
    with pytest.raises(InputError, match="only the cell clockwork has periods"):
        RNN(5, 4, cell="lstm", options=CellOptions(periods=[1, 2]))


@pytest.mark.parametrize("init", INITIALIZATIONS)
@pytest.mark.parametrize("cell", list(CELLS))
def test_initializations(cell: str, init: str) -> None:
    torch.manual_seed(0)
    bias = None if CELLS[cell].forget_gate is None else 1.0
    layer = make_layers(cell, [7], 40, CellOptions(init, bias))[0]
    values = {name.removesuffix("_l0"): value.detach() for name, value in layer.named_parameters()}
    recurrent = values["weight_hh"].unflatten(0, (-1, 40))
    if init == "uniform":
        assert 0.09 < recurrent.abs().max() <= 0.1 and 0.05 < values["weight_ih"].abs().max() <= 0.1
    elif init == "orthogonal":
        torch.testing.assert_close(recurrent @ recurrent.mT, torch.eye(40).expand_as(recurrent), rtol=1e-4, atol=1e-5)
    elif init == "glorot":
        assert 0.95 * math.sqrt(6 / 80) < recurrent.abs().max() <= math.sqrt(6 / 80)
    elif cell == "relu":
        assert torch.equal(recurrent[0], torch.eye(40))
    else:
        assert values["weight_ih"].abs().max() <= 1 / math.sqrt(40)
    if bias is not None:
        biases = [value for name, value in values.items() if name.startswith("bias")]
        total = torch.stack(biases).sum(0).unflatten(0, (-1, 40))
        assert (total[CELLS[cell].forget_gate] == 1).all()
        assert init in ("default", "uniform") or total.count_nonzero() == 40


def test_wrong_options() -> None:
    with pytest.raises(InputError, match="init='ones' is not one of default, uniform, glorot, orthogonal"):
        RNN(5, 4, options=CellOptions("ones"))
    with pytest.raises(InputError, match=r"forget_bias=1.0: this cell has no forget gate"):
        LabelRNN(5, cell="gru", forget_bias=1.0)
    with pytest.raises(InputError, match="forget_bias=nan: use a finite number"):
        LabelRNN(5, forget_bias=math.nan)
    with pytest.raises(InputError, match="residual=-1: use true, false, or"):
        Encoder(5, residual=-1)
    with pytest.raises(InputError, match="merge='product' is not one of concat, sum, mean, max"):
        Encoder(5, merge="product")


def test_uniform_weights_of_a_whole_label_rnn() -> None:
    network = LabelRNN(50, embedding_size=20, hidden_size=30, memory_size=10, init="uniform")
    assert all(0.09 < parameter.abs().max() <= 0.1 for parameter in network.parameters())
