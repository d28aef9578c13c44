"""``asr tune MODEL DATA…``: tune a beam search on dev data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli._completion import models
from asr.cli._decoder_options import Beam, Decoder, Head, HotWords, LanguageModel, Lexicon, decoder_config
from asr.cli._model_options import Device
from asr.errors import InputError

if TYPE_CHECKING:
    from asr.evaluation.tune import Trial, TuneResult


def tune(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model directory, or a training run.", autocompletion=models)
    ],
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Manifests of dev data: never of test data.")],
    head: Head = None,
    beam: Beam = None,
    lm: LanguageModel = None,
    lexicon: Lexicon = None,
    hotwords: HotWords = "",
    decoder: Decoder = None,
    values: Annotated[
        list[str] | None, typer.Option(metavar="KEY=A,B,…", help="Values to try for a weight: lm_weight=0.5,1,1.5")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Plot the error rates to this file (.png, .svg, .pdf).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave the model directory unchanged.")] = False,
    device: Device = "cpu",
) -> None:
    """Find the weights and the beam with the lowest error rate, and store them in the model directory.

    The model decodes with them from then on. The language model and the dictionary are copied into its directory.
    """
    from asr.cli._progress import progress_bar
    from asr.models.directory import find
    from asr.output.plots import check_picture, plot_tuning

    options = decoder_config(beam, lm, lexicon, hotwords, decoder)
    tried = parse_values(values or [])
    if picture is not None:
        check_picture(picture)
    find(model)
    from asr.evaluation.tune import tune_model

    table = TrialTable()
    result = tune_model(
        model,
        data,
        decoder=options,
        head=head,
        values=tried,
        device=device,
        save=not dry_run,
        begin=table.begin,
        report=table.add,
        progress=progress_bar,
    )
    if result.unknown_words is not None:
        unknown, words = result.unknown_words
        print(
            f"unknown words: {unknown} of {words} in the references ({100 * unknown / max(words, 1):.1f} %) are not in "
            "the language model; with unknown_words=none they cannot be recognized"
        )
    print("best:")
    table.add(result.best)
    if picture is not None:
        points = [(trial.weights, trial.rate) for trial in (result.best, *result.trials)]
        plot_tuning(picture, points[0], points[1:], result.error_kind.upper())
    print_confidences(result)
    if not dry_run:
        print(f"{model} now decodes with these weights (--decoder type=greedy for greedy decoding)")


class TrialTable:
    """Prints the trials of a search for weights, one a line."""

    def __init__(self) -> None:
        self.names: Sequence[str] = ()  # of the weights

    def begin(self, names: Sequence[str], error_kind: str) -> None:
        """Print the header."""
        self.names = names
        print("  ".join(f"{name:>14}" for name in [*names, f"{error_kind.upper()} %", "search / audio"]))

    def add(self, trial: Trial) -> None:
        """Print a trial."""
        cells = ["none" if trial.weights[name] is None else f"{trial.weights[name]:g}" for name in self.names]
        cells += [f"{100 * trial.rate:.2f}", f"{trial.real_time_factor:.4f}"]
        print("  ".join(f"{cell:>14}" for cell in cells))


def print_confidences(result: TuneResult) -> None:
    """Print how well the confidences of words are calibrated, and what is left out by the least one."""
    from asr.evaluation.confidence import VOICES

    if (confidences := result.confidences) is None:
        return
    print(
        f"confidence: expected calibration error {confidences.before.error:.3f}, calibrated "
        f"{confidences.after.error:.3f} (cross-validated on halves of the utterances)"
    )
    if len(confidences.calibration) > 2:
        before, after = (100 * errors / max(result.best.reference, 1) for errors in confidences.errors)
        rates = f"{result.error_kind.upper()} {before:.2f} → {after:.2f} %"
        print(
            f"min_confidence {confidences.min_confidence:g}: {rates}; "
            f"of {confidences.others} words in reversed speech and {VOICES} voices at once, "
            f"{confidences.others_kept} are kept, with a mean confidence of {confidences.others_confidence:.2f}"
        )


def parse_values(options: Sequence[str]) -> dict[str, list[float]]:
    """Parse KEY=A,B,… into numbers by key. Raises InputError for a value that is not a number."""
    values: dict[str, list[float]] = {}
    for option in options:
        key, _, numbers = option.partition("=")
        try:
            values[key] = [int(n) if key == "beam" else float(n) for n in numbers.split(",")]
        except ValueError:
            raise InputError(f"--values {option}: KEY=A,B,… with numbers is needed") from None
    return values
