"""Checks of options: unknown names, types, limits, and what the messages say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from asr.errors import InputError
from asr.utils.options import check_choice, check_names, check_options, check_value, did_you_mean


@dataclass
class Limits:
    """Options with limits."""

    epochs: int = field(metadata={"min": 1})
    share: float | None = field(metadata={"min": 0, "max": 1})
    mode: Literal["all", "some"] = "all"
    fold: int | None = field(default=None, metadata={"choices": (48, 39)})


@dataclass
class Names:
    """Options without limits."""

    name: str = "x"


def test_the_nearest_name_is_suggested() -> None:
    assert did_you_mean("epoch", ["minutes", "epochs"]) == " (did you mean epochs?)"
    assert did_you_mean("x", ["minutes", "epochs"]) == did_you_mean(None, ["a"]) == did_you_mean("x", []) == ""
    with pytest.raises(InputError, match=r"^cell='lsmt' is not one of lstm, gru \(did you mean lstm\?\)$"):
        check_choice("cell", "lsmt", ["lstm", "gru"])
    with pytest.raises(InputError, match=r"^cell=\['lstm'\] is not one of lstm, gru$"):
        check_choice("cell", ["lstm"], {"lstm": 1, "gru": 2})
    message = r"^encoder has no option hiden_size \(did you mean hidden_size\?\), xyz; it has hidden_size, cell$"
    with pytest.raises(InputError, match=message):
        check_names("encoder", ["hiden_size", "cell", "xyz"], ["hidden_size", "cell"])


@pytest.mark.parametrize(
    ("annotation", "accepted", "refused", "expected"),
    [
        (int, [0, -3], [1.0, True, "1", None], "a whole number"),
        (float, [0, 1.5, float("inf")], [True, "1.5", None], "a number"),
        (bool, [True, False], [1, "yes", None], "true or false"),
        (str, ["", "x"], [1, None, ["x"]], "a string"),
        (str | Path, ["x", Path("x")], [1], "a string or a path"),
        (int | str | None, [1, "x", None], [1.5, []], "a whole number, a string or null"),
        (Sequence[int], [[], [1, 2], (1,)], [1, "12", [1.5], None], "a list of whole numbers"),
        (tuple[float, float], [[1, 2.5]], [[1], [1, 2, 3], "ab"], "a list of 2 numbers"),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"]], "a list of whole numbers"),
        (Mapping[str, float], [{}, {"a": 1}], [{"a": "b"}, [1]], "a mapping"),
        (Literal["min", "max"], ["min"], ["mean", None], None),
        (float | set | None, [1.0, None], ["x", []], "a number or null"),
        (Any, [None, 1, "x", []], [], None),
        ("Unresolved", [None, 1], [], None),
    ],
)
def test_types(annotation: Any, accepted: list[Any], refused: list[Any], expected: str | None) -> None:
    for value in accepted:
        check_value("key", value, annotation)
    for value in refused:
        with pytest.raises(InputError, match=f"expected {expected}$" if expected else "is not one of min, max$"):
            check_value("key", value, annotation)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, r"^trainer.epochs=0: expected a whole number of at least 1$"),
        ({}, r"^trainer.epochs=None: expected a whole number of at least 1$"),
        ({"epochs": 1.0}, r"^trainer.epochs=1.0: expected a whole number of at least 1$"),
        ({"epochs": 1, "share": 1.1}, r"^trainer.share=1.1: expected a number from 0 to 1 or null$"),
        ({"epochs": 1, "share": float("nan")}, r"^trainer.share=nan: expected a number from 0 to 1 or null$"),
        ({"epochs": 1, "mode": "al"}, r"^trainer.mode='al' is not one of all, some \(did you mean all\?\)$"),
        ({"epochs": 1, "fold": 61}, r"^trainer.fold=61 is not one of 48, 39$"),
        ({"epochs": 1, "name": None}, r"^trainer.name=None: expected a string$"),
        ({"epochs": 1, "modes": "all"}, r"^trainer has no option modes \(did you mean mode\?\); it has epochs, share"),
        (3, r"^trainer=3: expected a mapping of options$"),
    ],
)
def test_options_that_do_not_fit_their_dataclass(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_options("trainer", options, Limits, Names)


def test_options_that_fit_their_dataclass() -> None:
    check_options("trainer", {"epochs": 1}, Limits, Names)
    check_options("trainer", {"epochs": 5, "share": 1, "mode": "some", "fold": None, "name": "y"}, Limits, Names)
