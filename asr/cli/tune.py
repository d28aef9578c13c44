"""``asr tune MODEL DATA…``: the numbers of a beam search, found on dev data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli._decoder_options import Beam, Decoder, Head, HotWords, LanguageModel, Lexicon, decoder_config
from asr.errors import InputError

if TYPE_CHECKING:
    from asr.evaluation.tune import Trial


def tune(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model directory, or a training run.")],
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Manifests of dev data: never of test data.")],
    head: Head = None,
    beam: Beam = None,
    lm: LanguageModel = None,
    lexicon: Lexicon = None,
    hotwords: HotWords = "",
    decoder: Decoder = None,
    values: Annotated[
        list[str] | None, typer.Option(metavar="KEY=A,B,…", help="What to try for a number: lm_weight=0.5,1,1.5")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw error rates to this file (.png, .svg, .pdf).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave the model directory as it is.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Find weights and beam that give the lowest error rate; the model then decodes with them, and with these models.

    The language model and the dictionary are copied into the model directory.
    """
    from asr.cli._progress import progress_bar
    from asr.data import manifest
    from asr.data.speech_dataset import SpeechDataset
    from asr.evaluation import tune as tuning
    from asr.evaluation.ctc import error_kinds
    from asr.inference import recognizer
    from asr.inference.decoders.beam import BeamDecoder
    from asr.metrics.calibration import concatenate, cross_validate, fit_calibration
    from asr.models import decoder_files
    from asr.models import directory as store

    directory = store.find(model)
    head, options = decoder_files.decoder_config(directory, decoder_config(beam, lm, lexicon, hotwords, decoder), head)
    options |= {"type": "beam", "calibration": None}
    loaded = recognizer.load(directory, device=device, head=head, decoder=options)
    search = loaded.decoder
    assert isinstance(search, BeamDecoder)
    grid = {**tuning.values_for(search), **read_values(values or [])}
    cuts = [cut for path in data for cut in manifest.read(path)]
    dataset = SpeechDataset(cuts, {head: search.scoring_vocabulary}, loaded.sample_rate, encode=False)
    with progress_bar(sum(dataset.seconds), "listening") as advance:
        stored = tuning.store(loaded.task, dataset, head, advance)
    names = list(grid)
    rate = error_kinds(search.scoring_vocabulary)[0].upper()
    typer.echo("  ".join(f"{name:>14}" for name in [*names, f"{rate} %", "real time"]))

    def show(trial: Trial) -> None:
        cells = [f"{trial.numbers[name]:g}" for name in names] + [
            f"{100 * trial.rate:.2f}",
            f"{trial.real_time_factor:.4f}",
        ]
        typer.echo("  ".join(f"{cell:>14}" for cell in cells))

    start = {name: search.weights[name] for name in names}
    best, trials = tuning.tune(search, stored, start, grid, show)
    typer.echo("best:")
    show(best)
    if picture is not None:
        tuning.draw(picture, best, trials, rate)
    report = tuning.report_of(tuning.decoded(search.with_weights(**best.numbers), stored))
    before, after = report.calibration, cross_validate(report.answers)
    if before is not None and after is not None:
        options["calibration"] = [round(number, 4) for number in fit_calibration(*concatenate(report.answers))]
        typer.echo(
            f"confidence: expected calibration error {before.error:.3f}, calibrated {after.error:.3f} "
            "(half the utterances, by what fits the other half)"
        )
    if not dry_run:
        decoder_files.set_decoder(directory, {"head": head, **options, **best.numbers})
        typer.echo(f"{directory} decodes so from now on (--decoder type=greedy for the best path)")


def read_values(given: list[str]) -> dict[str, list[float]]:
    """Numbers to try by name, of KEY=A,B,…"""
    from asr.inference.decoders.beam import TUNABLE

    known = ["beam", *TUNABLE]
    found: dict[str, list[float]] = {}
    for entry in given:
        key, _, numbers = entry.partition("=")
        if key not in known:
            raise InputError(f"--values {entry}: the numbers of a search are {', '.join(known)}")
        try:
            found[key] = [int(n) if key == "beam" else float(n) for n in numbers.split(",")]
        except ValueError:
            raise InputError(f"--values {entry}: numbers with commas between them are wanted") from None
    return found
