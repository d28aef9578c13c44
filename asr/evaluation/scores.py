"""What models score on data of their kind, of all kinds but recognisers (which `asr.evaluation.ctc` is for)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.output.caption_sheet import Entry

Changes = Mapping[str, Any]  # of how to search, `asr.decoding.label.beam.LabelBeamOptions`


@dataclass(frozen=True)
class Scores:
    """Figures, the same on one line, and sections of a page of images (`caption_sheet.write_page`)."""

    figures: dict[str, Any]
    line: str
    page: list[tuple[str, list[Entry]]] = field(default_factory=list)


def _alone(models: Sequence[Path], options: Changes) -> None:
    if len(models) > 1 or options:
        raise InputError("only models that write captions or pronunciations search, and do it together")
