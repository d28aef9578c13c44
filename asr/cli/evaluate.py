"""``asr evaluate MODEL DATA…``: error rates of a model on manifests."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.cli._decoder_options import Beam, Decoder, HotWords, LanguageModel, Lexicon, decoder_config
from asr.errors import InputError


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model directory, or a training run.")],
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="Manifests, or folders of audio beside .txt; for other models what they were trained on.",
        ),
    ],
    head: Annotated[str | None, typer.Option(help="Which head to score (default: all with references).")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
    details: Annotated[Path | None, typer.Option(help="Write one JSON line an utterance to this file.")] = None,
    worst: Annotated[int, typer.Option(min=0, help="Align so many of the worst utterances.")] = 5,
    by_speaker: Annotated[bool, typer.Option("--by-speaker", help="Rates of each speaker too.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    batch_seconds: Annotated[float, typer.Option(min=1.0, help="Audio in a batch.")] = 240.0,
    beam: Beam = None,
    lm: LanguageModel = None,
    lexicon: Lexicon = None,
    hotwords: HotWords = "",
    decoder: Decoder = None,
    together: Annotated[
        list[str] | None, typer.Option(help="Another model that writes together with it (captions, pronunciations).")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="A page with the worst and best images (captions).")] = None,
) -> None:
    """Print the error rates of a recogniser on manifests, counted apart and together; or what another model scores."""
    from asr.models import directory as store

    directory = store.find(model)
    kind = store.read_config(directory)["task"]["type"]
    if html is not None and kind != "captioning":
        raise InputError(f"--html: for captioners; {model} is a model of type {kind}")
    if kind != "ctc":
        for_speech: dict[str, object] = {"--head": head, "--details": details, "--by-speaker": by_speaker, "--lm": lm}
        for_speech |= {"--lexicon": lexicon, "--hotwords": hotwords}
        if given := [name for name, value in for_speech.items() if value]:
            raise InputError(f"{', '.join(given)}: for recognisers; {model} is a model of type {kind}")
        models = [directory, *map(store.find, together or [])]
        return print_scores(kind, models, data, decoder_config(beam, None, None, "", decoder), worst, json, html)
    if together:
        raise InputError("--together is for models that write captions or pronunciations")
    from asr.cli._progress import progress_bar
    from asr.data import manifest
    from asr.data.speech_dataset import SpeechDataset
    from asr.evaluation.ctc import evaluate as evaluate_
    from asr.evaluation.ctc import greedy_decoders
    from asr.evaluation.report import write_summaries
    from asr.inference import recognizer
    from asr.inference.decoders.greedy import GreedyDecoder
    from asr.metrics.error_rate import UNITS

    groups: dict[str, str] = {}
    cuts = []
    for path in data:
        for cut in manifest.read(path):
            if cut.id in groups:
                raise InputError(f"{path}: utterance {cut.id} is in {groups[cut.id]} too")
            groups[cut.id] = manifest.speaker(cut) if by_speaker else path
            cuts.append(cut)
    options = decoder_config(beam, lm, lexicon, hotwords, decoder)
    loaded = recognizer.load(model, device=device, head=head, decoder=options)
    task = loaded.task
    decoders = {loaded.head: loaded.decoder}
    if head is None and type(loaded.decoder) is GreedyDecoder:
        decoders = greedy_decoders(task)
    scoring = {name: decoder.scoring_vocabulary for name, decoder in decoders.items()}
    dataset = SpeechDataset(cuts, scoring, task.features.sample_rate, encode=False)
    several = by_speaker or len(data) > 1
    with progress_bar(sum(dataset.seconds), "evaluating") as advance:
        reports = evaluate_(
            task,
            dataset,
            decoders=decoders,
            max_seconds=batch_seconds,
            by=groups if several else None,
            progress=advance,
        )
    if not reports:
        raise InputError("no utterance has a reference for this model's heads (phones in the manifest?)")
    for name, report in reports.items():
        typer.echo(f"head {name}\n{report.table()}")
        if found := report.calibration:
            typer.echo(
                f"confidence: {found.tokens} {UNITS[report.kinds[0]]} at {found.confidence:.3f} on average, "
                f"{found.accuracy:.3f} correct, expected calibration error {found.error:.3f}"
            )
        if worst and (listing := report.worst(worst)):
            typer.echo(f"\nworst utterances\n{listing}\n")
    if details is not None:
        next(iter(reports.values())).write_jsonl(details)
    if json is not None:
        write_summaries(json, reports)


def print_scores(
    kind: str,
    models: list[Path],
    data: list[str],
    options: dict[str, Any],
    worst: int,
    json: Path | None,
    html: Path | None,
) -> None:
    """Print, for each file, what a model (or several together) of another kind than recognisers scores on it."""
    from json import dumps

    scorer = {
        "seq2seq": "asr.evaluation.seq2seq:seq2seq",
        "captioning": "asr.evaluation.captioning:captioning",
        "classification": "asr.evaluation.classification:classes",
        "language": "asr.evaluation.language:of_text",
    }[kind]
    module, _, name = scorer.partition(":")
    score = getattr(import_module(module), name)
    from asr.output import caption_sheet
    from asr.utils.atomic import write_atomic

    found = {path: score(models, path, options, worst) for path in data}
    for path, scores in found.items():
        typer.echo(f"{path}: {scores.line}")
    if json is not None:
        figures = {path: scores.figures for path, scores in found.items()}
        write_atomic(json, (dumps(figures, ensure_ascii=False, indent=2) + "\n").encode())
    if html is not None:
        caption_sheet.write_page(html, [section for scores in found.values() for section in scores.page])
