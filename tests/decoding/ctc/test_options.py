"""Options of the CTC beam search: their ranges, and the former names that configurations may use."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from asr.decoding.ctc.options import CTCBeamOptions
from asr.errors import InputError
from asr.inference.decoders.beam import BeamDecoder
from asr.inference.decoders.factory import make_decoder
from asr.models.decoder_files import decoder_config
from asr.text.vocabulary import Vocabulary

FORMER = {"most_labels": 3, "least": 0.1, "behind": 5.0}
PRESENT = {"max_labels": 3, "min_label_prob": 0.1, "beam_threshold": 5.0}


@pytest.mark.parametrize(
    "options",
    [{"beam": 0}, {"nbest": 0}, {"max_labels": 0}, {"min_label_prob": 1.0}, {"beam_threshold": 0.0}, {"scores": "x"}],
)
def test_values_outside_their_range(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        CTCBeamOptions(**options)  # type: ignore[arg-type]


def test_former_names_in_a_configuration() -> None:
    decoder = make_decoder(Vocabulary.characters(["ab"]), {"type": "beam"} | FORMER)
    assert isinstance(decoder, BeamDecoder)
    assert decoder.options == CTCBeamOptions(**PRESENT)  # type: ignore[arg-type]


def test_former_names_in_a_model_directory(tmp_path: Path) -> None:
    groups = {"features": {}, "encoder": {}, "task": {"type": "ctc", "heads": {"text": {}}}}
    config = groups | {"decoder": {"type": "beam"} | FORMER}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert decoder_config(tmp_path) == ("text", {"type": "beam"} | PRESENT)
    assert decoder_config(tmp_path, {"behind": 7.0})[1] == {"type": "beam"} | PRESENT | {"beam_threshold": 7.0}
    assert decoder_config(tmp_path, {"max_labels": 9})[1] == {"type": "beam"} | PRESENT | {"max_labels": 9}
    with pytest.raises(InputError, match="give only beam_threshold"):
        decoder_config(tmp_path, {"behind": 7.0, "beam_threshold": 8.0})
