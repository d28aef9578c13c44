"""``asr evaluate MODEL DATA…``: score a model on data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli._decoder_options import Beam, Decoder, HotWords, LanguageModel, Lexicon, decoder_config
from asr.cli._model_options import BatchSeconds, Device, ModelArgument
from asr.cli._score_options import BySpeaker, Figures


def evaluate(
    model: ModelArgument,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="Manifests, or folders of audio beside .txt; for other systems files of the kind they train on.",
        ),
    ],
    head: Annotated[str | None, typer.Option(help="Head to score (default: all with references).")] = None,
    json: Figures = None,
    details: Annotated[Path | None, typer.Option(help="Write a JSON line per utterance to this file.")] = None,
    worst: Annotated[int, typer.Option(min=0, help="Number of the worst utterances to show aligned.")] = 5,
    by_speaker: BySpeaker = False,
    device: Device = "cpu",
    batch_seconds: BatchSeconds = 240.0,
    beam: Beam = None,
    lm: LanguageModel = None,
    lexicon: Lexicon = None,
    hotwords: HotWords = "",
    decoder: Decoder = None,
    ensemble: Annotated[
        list[str] | None,
        typer.Option("--ensemble", help="Another model that predicts together with it (captions, pronunciations)."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the worst and best images (captions).")] = None,
) -> None:
    """Score a model on data: error rates of a recognizer by manifest and in all, or the scores of another system."""
    from asr.cli._progress import progress_bar
    from asr.models.directory import find

    options = decoder_config(beam, lm, lexicon, hotwords, decoder)
    for directory in (model, *(ensemble or ())):
        find(directory)
    from asr.evaluation.base import evaluate_model
    from asr.output import caption_sheet
    from asr.utils.json_files import write_json, write_jsonl

    result = evaluate_model(
        model,
        data,
        ensemble=ensemble or (),
        decoder=options,
        head=head,
        by_speaker=by_speaker,
        details=details is not None,
        worst=worst,
        html=html is not None,
        device=device,
        batch_seconds=batch_seconds,
        progress=progress_bar,
    )
    print(result.text)
    if details is not None:
        write_jsonl(details, result.details)
    if json is not None:
        write_json(json, result.figures)
    if html is not None:
        caption_sheet.write_page(html, result.page)
