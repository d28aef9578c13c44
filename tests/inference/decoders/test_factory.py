"""Decoders from a configuration: which one is built, and what is refused."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from asr.errors import InputError
from asr.inference.decoders.beam import BeamDecoder
from asr.inference.decoders.factory import make_decoder
from asr.inference.decoders.greedy import GreedyDecoder
from asr.text.vocabulary import Vocabulary

CHARACTERS = Vocabulary.characters("ab ")


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, GreedyDecoder),
        ({"calibration": [1.0, 0.0]}, GreedyDecoder),
        ({"beam": 10}, BeamDecoder),
        ({"calibration": [1.0, 0.0], "nbest": 2}, BeamDecoder),
        ({"type": "beam"}, BeamDecoder),
        ({"type": "greedy"}, GreedyDecoder),
    ],
)
def test_options_that_only_the_beam_search_has_imply_it(
    options: dict[str, Any], kind: type, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert type(make_decoder(CHARACTERS, options)) is kind
    implied = kind is BeamDecoder and "type" not in options
    assert [record.getMessage() for record in caplog.records] == (
        [f"decoding with a beam search, implied by {list(options)[-1]}"] if implied else []
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "greedy", "beam": 10}, "decoder: greedy has no option beam; it has calibration"),
        ({"lm_wait": 0.5}, r"decoder: beam has no option lm_wait \(did you mean lm_weight\?\); it has beam"),
        ({"calibration": [1.0]}, "calibration=.1.0.: expected a slope, an offset and up to two factors"),
        ({"beam": 5, "min_confidence": 2}, "decoder.min_confidence=2: use a probability from 0 to 1"),
    ],
)
def test_options_that_the_decoder_does_not_have(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_decoder(CHARACTERS, options)


def test_former_names_of_options() -> None:
    former = make_decoder(CHARACTERS, {"most_labels": 3, "least": 0.01, "behind": 9.0})
    present = make_decoder(CHARACTERS, {"max_labels": 3, "min_label_prob": 0.01, "beam_threshold": 9.0})
    assert isinstance(former, BeamDecoder) and isinstance(present, BeamDecoder)
    assert former.options == present.options and former.options.beam_threshold == 9
    with pytest.raises(InputError, match="behind is the former name of beam_threshold"):
        make_decoder(CHARACTERS, {"behind": 9.0, "beam_threshold": 9.0})
