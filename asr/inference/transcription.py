"""Transcribe files with a model directory: what `asr transcribe` does."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from asr.errors import InputError
from asr.inference.inputs import File, Recording, Source, as_source, audio_infos, is_file, source_name
from asr.inference.recognizer import Recognizer
from asr.models import directory as directory_module
from asr.output.cues import CueLimits
from asr.output.formats import parse_formats, render
from asr.output.paths import plan_outputs, write_text_atomic
from asr.output.transcript import Transcript
from asr.utils.progress import Progress, no_progress
from asr.utils.text_files import STDIN


def transcribe_files(
    sources: Sequence[Source],
    model: str | Path,
    *,
    format: str = "txt",
    output_dir: Path | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    names: Sequence[str] | None = None,
    device: str = "cpu",
    batch_seconds: float = 240.0,
    head: str | None = None,
    decoder: Mapping[str, Any] | None = None,
    plain: bool = False,
    digits: bool = False,
    channel: int | Literal["mix", "all"] = "mix",
    track: int | None = None,
    strict: bool = False,
    limits: CueLimits | None = None,
    progress: Progress = no_progress,
) -> Iterator[tuple[int, list[Transcript] | InputError]]:
    """Transcribe files with a model directory, the longest first (`asr transcribe`).

    Args:
        sources: as in `Recognizer.transcribe`.
        model: as in `Recognizer.load`.
        format: of the files in ``output_dir``, see `asr.output.formats.FORMATS`; several are separated by commas.
        output_dir: folder to which a file is written for each source as it is finished; None: none are written.
        overwrite: replace files that exist.
        skip_existing: keep files that exist, and transcribe only the sources that lack one.
        names: of the sources, for transcripts and outputs; None: the paths of files, ``-`` for what is not a file.
        device: as in `Recognizer.load`.
        batch_seconds: as in `Recognizer.load`.
        head: as in `Recognizer.load`.
        decoder: as in `Recognizer.load`.
        plain: as in `Recognizer.load`.
        digits: as in `Recognizer.load`.
        channel: number of the channel of each file that is transcribed, from 1; ``"mix"``: the mean of all;
            ``"all"``: each by itself.
        track: number of the audio track of media files, from 1; None: the first.
        strict: refuse files that are damaged or cut short, instead of a warning.
        limits: of the cues of subtitles; None: the defaults.
        progress: draws a progress bar, in seconds of audio.

    Returns:
        An iterator over the index of each source and a list with its transcript, or with those of its channels for
        ``"all"``, as they are finished, or the error of one that cannot be read or written. Sources whose outputs exist
        are left out by ``skip_existing``.

    Raises:
        InputError: at once, for an unknown format, outputs that exist or cannot be written, and what `Recognizer.load`
            raises.
    """
    formats = parse_formats(format)
    if names is None:
        names = [source_name(source) or STDIN for source in sources]
    outputs: list[list[Path]] | None = None
    if output_dir is not None:
        outputs = plan_outputs(names, output_dir, formats, overwrite, skip_existing)
    runner = directory_module.system_of(directory_module.read_config(directory_module.find(model))).load("runner")
    recognizer_class = runner if issubclass(runner, Recognizer) else Recognizer  # which refuses the model
    recognizer = recognizer_class.load(
        model, device=device, batch_seconds=batch_seconds, head=head, decoder=decoder, plain=plain, digits=digits
    )
    own = "mix" if channel == "all" else channel
    recordings = [
        Recording(cast(File, source), own, track, strict) if is_file(source) else source for source in sources
    ]
    return _transcribe(recognizer, recordings, names, channel == "all", outputs, limits, progress)


def _transcribe(
    recognizer: Recognizer,
    sources: Sequence[Source],
    names: Sequence[str],
    each_channel: bool,
    outputs: Sequence[Sequence[Path]] | None,
    limits: CueLimits | None,
    progress: Progress,
) -> Iterator[tuple[int, list[Transcript] | InputError]]:
    items: list[tuple[float, int, Source]] = []  # seconds, index of the source, the source or a channel of it
    for index, source in enumerate(sources):
        if outputs is not None and not outputs[index]:
            continue  # all are there
        parts = _parts(recognizer, source, each_channel)
        if isinstance(parts, InputError):
            yield index, parts
        else:
            items += [(seconds, index, part) for seconds, part in parts]
    items.sort(key=lambda item: -item[0])
    waiting = Counter(index for _, index, _ in items)  # parts of each source
    done: dict[int, list[Transcript]] = {}
    failed: set[int] = set()
    with progress(sum(seconds for seconds, _, _ in items), "transcribing") as advance:
        for position, result in recognizer.transcribe_all([source for _, _, source in items]):
            seconds, index, _ = items[position]
            advance(seconds)
            waiting[index] -= 1
            if isinstance(result, InputError):
                if index not in failed:  # one error for all channels
                    failed.add(index)
                    yield index, result
                continue
            if not result.source and names[index] != STDIN:
                result = replace(result, source=names[index])
            done.setdefault(index, []).append(result)
            if waiting[index] == 0 and index not in failed:
                transcripts = sorted(done.pop(index), key=lambda transcript: transcript.channel or 0)
                error = _write(transcripts, outputs[index], limits) if outputs is not None else None
                yield index, error or transcripts


def _write(transcripts: Sequence[Transcript], paths: Sequence[Path], limits: CueLimits | None) -> InputError | None:
    """Write the transcripts of a source in the formats of the paths' extensions; return an error of one source alone.

    Raises:
        OSError: no file can be written there any more: the disk is full or read-only.
    """
    try:
        for path in paths:
            write_text_atomic(path, render_channels(transcripts, path.suffix[1:], limits))
    except InputError as error:
        return error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        return InputError(f"{error.filename or paths[0]}: cannot be written: {error.strerror}")
    return None


def _parts(recognizer: Recognizer, source: Source, each_channel: bool) -> list[tuple[float, Source]] | InputError:
    """Seconds of a source, or of each of its channels, and what is read; 0 seconds for precomputed features."""
    rate = recognizer.sample_rate
    if rate is None:
        return [(0.0, source)]
    try:
        checked = as_source(source, recognizer.task.features)
    except InputError as error:
        return error
    if not isinstance(checked, Recording):
        return [(checked.shape[-1] / rate if isinstance(checked, np.ndarray) else 0.0, checked)]
    (info,) = audio_infos([checked])
    if isinstance(info, InputError):
        return info
    channels: list[int | Literal["mix"]] = [*range(1, info.channels + 1)] if each_channel else [checked.channel]
    return [(info.duration, replace(checked, channel=channel)) for channel in channels]


def render_channels(transcripts: Sequence[Transcript], format: str, limits: CueLimits | None = None) -> str:
    """Return the content of a file with the transcript, or the transcripts of all channels, of one recording."""
    return render(transcripts[0] if len(transcripts) == 1 else transcripts, format, limits)
