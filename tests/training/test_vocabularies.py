"""Vocabularies from the options of a configuration's heads."""

from __future__ import annotations

import pytest

from asr.errors import InputError
from asr.training.vocabularies import make_vocabulary


def test_the_former_name_of_an_option() -> None:
    options = {"kind": "characters", "alphabet": " ab"}
    vocabulary = make_vocabulary("text", {**options, "boundary_spaces": True}, [])
    assert vocabulary.boundary_spaces and vocabulary == make_vocabulary("text", {**options, "edges": True}, [])
    with pytest.raises(InputError, match="edges is the former name of boundary_spaces"):
        make_vocabulary("text", {**options, "edges": True, "boundary_spaces": True}, [])
