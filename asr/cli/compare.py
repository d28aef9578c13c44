"""``asr compare A B [DATA…]``: which of two recognizers is better, and in what."""

from __future__ import annotations

from typing import Annotated

import typer

from asr.cli._model_options import BatchSeconds, Device
from asr.cli._score_options import Figures, Normalization


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="Hypotheses: JSON lines of asr evaluate --details, JSON of asr transcribe, .trn, or lines 'id text'; "
            "or a model directory.",
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Those of the other recognizer, of the same utterances.")],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...",
            help="Manifests for models; or for hypotheses their references, if the files do not hold them: manifests, "
            ".trn, or lines 'id text'.",
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="wer, cer or per.", show_default="wer, or per of models of phones")
    ] = None,
    normalization: Normalization = "none",
    worst: Annotated[int, typer.Option(min=0, help="Number of the utterances to show that differ most.")] = 5,
    json: Figures = None,
    head: Annotated[str | None, typer.Option(help="Head of the models to score.", show_default="the first")] = None,
    device: Device = "cpu",
    batch_seconds: BatchSeconds = 240.0,
) -> None:
    """Compare two recognizers on the same utterances: error rates, whether their difference is significant, and where.

    The paired bootstrap draws utterances and, where they are known, whole speakers; the matched pairs test is that of
    NIST's sc_stats (MAPSSWE).
    """
    from asr.cli._progress import progress_bar
    from asr.evaluation.compare import compare_files
    from asr.utils.json_files import write_json

    comparison = compare_files(
        *(a, b, data or []),
        metric=metric,  # type: ignore[arg-type]  # checked there
        normalization=normalization,
        head=head,
        device=device,
        batch_seconds=batch_seconds,
        progress=progress_bar,
    )
    print(comparison.text(worst))
    if json is not None:
        write_json(json, comparison.summary())
