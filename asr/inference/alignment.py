"""Align texts to recordings, or to segments of them, with a model directory: what `asr align` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asr.errors import InputError
from asr.inference.inputs import Recording, Source, audio_infos, describe_source, source_name
from asr.inference.recognizer import Recognizer
from asr.inference.transcription import render_channels
from asr.models import directory as directory_module
from asr.models.decoder_files import decoder_config
from asr.output.cues import CueLimits
from asr.output.paths import write_text_atomic
from asr.output.transcript import Transcript, Word, close_gaps

MAX_NAMED = 5  # segments in a message


@dataclass(frozen=True)
class SpokenText:
    """A text, and where it is spoken.

    Attributes:
        source: what `Recognizer.transcribe` reads; a `Recording` may be a segment of a file.
        text: what is spoken there.
        speaker: empty where unknown.
    """

    source: Source
    text: str
    speaker: str = ""

    @property
    def is_segment(self) -> bool:
        """Whether the text is spoken in a part of a file only."""
        return isinstance(self.source, Recording) and self.source.is_segment

    @property
    def start(self) -> float:
        """Begin of the segment in its recording, in seconds."""
        return self.source.start if isinstance(self.source, Recording) else 0.0


Aligned = list[tuple[SpokenText, Transcript]]


def align_files(
    files: Sequence[Sequence[SpokenText]],
    model: str | Path,
    *,
    head: str | None = None,
    lexicon: str | Path | None = None,
    pronouncer: str | Path | None = None,
    device: str = "cpu",
    gap: float = 0.0,
    strict: bool = False,
    outputs: Sequence[Sequence[Path]] | None = None,
    limits: CueLimits | None = None,
) -> Iterator[tuple[int, list[Transcript] | InputError]]:
    """Find the times of the words of known texts in files, with a model directory (`asr align`).

    Args:
        files: the texts of each file: one of the whole, or those of its segments.
        model: as in `Recognizer.load`.
        head: as in `Recognizer.align`.
        lexicon: as in `Recognizer.align`; None: that of the model directory, if it has one.
        pronouncer: as in `Recognizer.align`; None: that of the model directory, if it has one.
        device: as in `Recognizer.load`.
        gap: words, and phones, meet in the middle of gaps of at most this many seconds.
        strict: a text that does not fit its recording is an error.
        outputs: for each file the outputs to write, named by their formats, as soon as it is aligned; files without any
            are left out. None: none are written.
        limits: of the cues of subtitles; None: the defaults.

    Returns:
        An iterator over the index of each file and its transcript, or those of its speakers, see `join_segments`; or an
        error. Where some segments of a file cannot be aligned, the outputs have the others, and the error names them.

    Raises:
        InputError: what `Recognizer.load` raises.
    """
    directory = directory_module.find(model)
    decoded_head, own = decoder_config(directory, None, head)
    recognizer = Recognizer.load(directory, device=device, head=decoded_head, decoder={"type": "greedy"})
    chosen = [index for index in range(len(files)) if files[index] and (outputs is None or outputs[index])]
    owners = [(index, part) for index in chosen for part in files[index]]
    results = recognizer.align_all(
        [(part.source, part.text) for _, part in owners],
        head=head,
        lexicon=lexicon or own.get("lexicon"),
        pronouncer=pronouncer or own.get("pronouncer"),
    )

    def finished() -> Iterator[tuple[int, list[Transcript] | InputError]]:
        aligned: Aligned = []
        errors: list[InputError] = []
        for position, result in results:
            index, part = owners[position]
            if isinstance(result, Transcript) and strict and result.fits is False:
                name = describe_source(part.source)
                result = InputError(f"{name}: the text does not fit the recording, which --strict refuses")
            if isinstance(result, InputError):
                errors.append(result)
            else:
                aligned.append((part, result))
            if position + 1 < len(owners) and owners[position + 1][0] == index:
                continue
            transcripts = [close_gaps(transcript, gap) for transcript in join_segments(aligned)]
            for path in outputs[index] if outputs is not None and transcripts else ():
                write_text_atomic(path, render_channels(transcripts, path.suffix[1:], limits))
            yield index, _in_all(errors, files[index]) if errors else transcripts
            aligned, errors = [], []

    return finished()


def _in_all(errors: Sequence[InputError], parts: Sequence[SpokenText]) -> InputError:
    """Return one error for those of the texts of a file."""
    if len(parts) == 1:
        return errors[0]
    listed = [str(error) for error in errors[:MAX_NAMED]] + ["…"] * (len(errors) > MAX_NAMED)
    others = " (the others are done)" if len(errors) < len(parts) else ""
    head = f"{source_name(parts[0].source)}: {len(errors)} of {len(parts)} segments cannot be aligned{others}:"
    return InputError("\n  ".join([head, *listed]))


def join_segments(aligned: Aligned) -> list[Transcript]:
    """Join the transcripts of a recording's segments, at the recording's times.

    Returns:
        One transcript, or one of each speaker if there are several, in the order in which they begin.
    """
    speakers: dict[str, Aligned] = {}
    for part, transcript in sorted(aligned, key=lambda pair: pair[0].start):
        speakers.setdefault(part.speaker, []).append((part, transcript))
    return [_joined(speaker, own) for speaker, own in speakers.items()]


def _joined(speaker: str, aligned: Aligned) -> Transcript:
    part, transcript = aligned[0]
    if not part.is_segment:
        return replace(transcript, speaker=speaker)
    words = tuple(word for part, own in aligned for word in _moved(own.words, part.start))
    segments = {describe_source(part.source): own for part, own in aligned}
    return replace(
        transcript,
        text=" ".join(own.text for _, own in aligned if own.text),
        words=words,
        duration=_duration(part.source, words),
        confidence=float(np.mean([word.confidence for word in words])) if words else None,
        phones=tuple(phone for part, own in aligned for phone in _moved(own.phones, part.start)),
        fits=all(own.fits is not False for _, own in aligned),
        warnings=tuple(f"{where}: {warning}" for where, own in segments.items() for warning in own.warnings),
        speaker=speaker,
    )


def _moved(words: Sequence[Word], seconds: float) -> Iterator[Word]:
    for word in words:
        yield replace(word, start=round(word.start + seconds, 3), end=round(word.end + seconds, 3))


def _duration(source: Source, words: Sequence[Word]) -> float:
    """Return the duration of the whole recording of a segment, in seconds."""
    (info,) = audio_infos([source]) if isinstance(source, Recording) else [None]
    end = words[-1].end if words else 0.0
    return end if info is None or isinstance(info, InputError) else max(info.duration, end)
