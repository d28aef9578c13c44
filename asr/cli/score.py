"""``asr score REFERENCE HYPOTHESIS``: error rates of texts in files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli._score_options import BySpeaker, Figures, Normalization


def score(
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REFERENCE", help="Correct texts: .trn, lines 'id text' (Kaldi), .stm, .ctm, a manifest."
        ),
    ],
    hypothesis: Annotated[
        Path,
        typer.Argument(
            metavar="HYPOTHESIS",
            help="Recognized texts: .trn, lines 'id text', .ctm, JSON lines of asr evaluate --details, JSON of asr "
            "transcribe.",
        ),
    ],
    metric: Annotated[str | None, typer.Option(help="wer, cer or per.", show_default="wer")] = None,
    normalization: Normalization = "none",
    plain: Annotated[
        bool, typer.Option("--plain", help="The files have texts without ids: line 1 belongs to line 1.")
    ] = False,
    missing_as_empty: Annotated[
        bool, typer.Option("--missing-as-empty", help="Count the words of utterances without a hypothesis as deleted.")
    ] = False,
    by_speaker: BySpeaker = False,
    worst: Annotated[int, typer.Option(min=0, help="Number of the worst utterances to show.")] = 5,
    json: Figures = None,
) -> None:
    """Score recognized texts in a file against correct ones: error rates with intervals, and the worst utterances.

    Utterances are matched by their ids; the words of a .ctm file by their times, if the references are an .stm file.
    """
    from asr.evaluation.score import score_files
    from asr.utils.json_files import write_json

    report = score_files(
        reference,
        hypothesis,
        metric=metric,  # type: ignore[arg-type]  # checked there
        normalization=normalization,
        plain=plain,
        missing_as_empty=missing_as_empty,
        by_speaker=by_speaker,
    )
    print(report.table())
    if worst and (listed := report.worst(worst)):
        print(f"\n{listed}")
    if json is not None:
        write_json(json, report.summary())
