"""Transcribe and align files with a model directory: what `asr transcribe` and `asr align` do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import InputError
from asr.inference.inputs import Source, durations
from asr.inference.recognizer import Recognizer
from asr.models import directory as directory_module
from asr.models.decoder_files import decoder_config
from asr.output.formats import check_format, render
from asr.output.paths import plan_outputs, write_text_atomic
from asr.output.transcript import Transcript
from asr.utils.progress import Progress, no_progress


def transcribe_files(
    sources: Sequence[Source],
    model: str | Path,
    *,
    format: str = "txt",
    output_dir: Path | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    batch_seconds: float = 240.0,
    head: str | None = None,
    decoder: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> Iterator[tuple[int, Transcript | InputError]]:
    """Transcribe files with a model directory, the longest first (`asr transcribe`).

    Args:
        sources: as in `Recognizer.transcribe`.
        model: as in `Recognizer.load`.
        format: of the files in ``output_dir``, see `asr.output.formats.FORMATS`.
        output_dir: folder to which a file is written for each source as it is finished; None: none are written.
        overwrite: replace files that exist.
        device: as in `Recognizer.load`.
        batch_seconds: as in `Recognizer.load`.
        head: as in `Recognizer.load`.
        decoder: as in `Recognizer.load`.
        progress: draws a progress bar, in seconds of audio.

    Returns:
        An iterator over the index of each source and its transcript, as they are finished, or the error of one that
        cannot be read.

    Raises:
        InputError: at once, for an unknown format, outputs that exist or cannot be written, and what `Recognizer.load`
            raises.
    """
    check_format(format)
    names = [source if isinstance(source, (str, Path)) else "-" for source in sources]
    outputs = None if output_dir is None else plan_outputs(names, output_dir, format, overwrite)
    runner = directory_module.system_of(directory_module.read_config(directory_module.find(model))).load("runner")
    recognizer_class = runner if issubclass(runner, Recognizer) else Recognizer  # which refuses the model
    recognizer = recognizer_class.load(model, device=device, batch_seconds=batch_seconds, head=head, decoder=decoder)
    return _transcribe(recognizer, sources, outputs, format, progress)


def _transcribe(
    recognizer: Recognizer, sources: Sequence[Source], outputs: Sequence[Path] | None, format: str, progress: Progress
) -> Iterator[tuple[int, Transcript | InputError]]:
    seconds: dict[int, float] = {}
    for index, duration in enumerate(_durations(recognizer, sources)):
        if isinstance(duration, InputError):
            yield index, duration
        else:
            seconds[index] = duration
    order = sorted(seconds, key=lambda index: -seconds[index])
    with progress(sum(seconds.values()), "transcribing") as advance:
        for position, result in recognizer.transcribe_all([sources[index] for index in order]):
            index = order[position]
            advance(seconds[index])
            if outputs is not None and isinstance(result, Transcript):
                outputs[index].parent.mkdir(parents=True, exist_ok=True)
                write_text_atomic(outputs[index], render(result, format))
            yield index, result


def _durations(recognizer: Recognizer, sources: Sequence[Source]) -> Iterator[float | InputError]:
    """Seconds of each source; 0 for precomputed features."""
    rate = recognizer.sample_rate
    for source in sources:
        if rate is None:
            yield 0.0
        elif isinstance(source, np.ndarray):
            yield source.shape[-1] / rate if source.ndim else 0.0
        else:
            yield from durations([source])


def align_files(
    pairs: Sequence[tuple[Source, str]],
    model: str | Path,
    *,
    head: str | None = None,
    lexicon: str | Path | None = None,
    pronouncer: str | Path | None = None,
    device: str = "cpu",
) -> Iterator[tuple[int, Transcript | InputError]]:
    """Find the times of the words of known texts in files, with a model directory (`asr align`).

    Args:
        pairs: files (or what else `Recognizer.transcribe` reads), each with its text.
        model: as in `Recognizer.load`.
        head: as in `Recognizer.align`.
        lexicon: as in `Recognizer.align`; None: that of the model directory, if it has one.
        pronouncer: as in `Recognizer.align`; None: that of the model directory, if it has one.
        device: as in `Recognizer.load`.

    Returns:
        An iterator over the results, see `Recognizer.align_all`.

    Raises:
        InputError: what `Recognizer.load` raises.
    """
    directory = directory_module.find(model)
    decoded_head, own = decoder_config(directory, None, head)
    recognizer = Recognizer.load(directory, device=device, head=decoded_head, decoder={"type": "greedy"})
    return recognizer.align_all(
        pairs,
        head=head,
        lexicon=lexicon or own.get("lexicon"),
        pronouncer=pronouncer or own.get("pronouncer"),
    )
