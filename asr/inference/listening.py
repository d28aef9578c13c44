"""A session of live recognition: audio is recorded, recognized and saved, as `asr listen` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio.arriving import ArrivingAudio
from asr.audio.writer import AudioWriter
from asr.errors import InputError
from asr.inference.live import Committed, Live, LiveEvent
from asr.inference.recognizer import Recognizer
from asr.models import directory as directory_module
from asr.output.formats import render
from asr.output.paths import write_text_atomic
from asr.output.transcript import Transcript, Word
from asr.output.writing import text_of


class LiveSession:
    """Recognizes audio that arrives, and saves it with its transcript.

    Args:
        live: recognizes the audio.
        save: file of the audio, .wav or .flac; the transcript gets the same name; None: nothing is saved.
        formats: of the transcript, see `asr.output.formats.FORMATS`.
        overwrite: replace files that exist.

    Attributes:
        written: the files that were saved.

    Raises:
        InputError: a file exists, or is none that audio can be written to.
        OSError: the audio cannot be written.
    """

    def __init__(
        self, live: Live, save: Path | None = None, formats: Sequence[str] = ("txt",), overwrite: bool = False
    ) -> None:
        self.live = live
        self.written: list[Path] = []
        self._transcripts = [save.with_suffix(f".{format}") for format in formats] if save is not None else []
        for path in self._transcripts:
            if path.is_dir() or (path.exists() and not overwrite):
                raise InputError(f"{path}: exists; give another name" + ("" if path.is_dir() else ", or --overwrite"))
        self._writer = AudioWriter(save, live.sample_rate, overwrite) if save is not None else None
        self._words: list[Word] = []
        self._spoken: list[Word] = []

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        save: Path | None = None,
        formats: Sequence[str] = ("txt",),
        overwrite: bool = False,
        head: str | None = None,
        decoder: Mapping[str, Any] | None = None,
        plain: bool = False,
        digits: bool = False,
    ) -> LiveSession:
        """Load a recognizer for a session; for its arguments see `Recognizer.load`."""
        runner = directory_module.system_of(directory_module.read_config(directory_module.find(model))).load("runner")
        recognizer_class = runner if issubclass(runner, Recognizer) else Recognizer  # which refuses the model
        recognizer = recognizer_class.load(model, head=head, decoder=decoder, plain=plain, digits=digits)
        return cls(Live(recognizer), save, formats, overwrite)

    def run(self, audio: ArrivingAudio) -> Iterator[LiveEvent]:
        """Recognize audio to its end, and save it.

        However it ends, what has been recorded is recognized to its end and saved before an error is raised.

        Yields:
            What is new, see `Live.feed`.

        Raises:
            InputError: the audio failed.
            OSError: it cannot be written.
        """
        error: Exception | None = None
        try:
            try:
                for samples in audio.blocks():
                    if self._writer is not None:
                        self._writer.write(samples)
                    yield from self._kept(self.live.feed(samples))
            except (InputError, OSError) as failure:
                error = failure
            yield from self._kept(self.live.finish())
        finally:
            self._save(error)
        if error is not None:
            raise error

    def _kept(self, events: Sequence[LiveEvent]) -> Sequence[LiveEvent]:
        """Keep the committed words of events for the transcript."""
        if self._writer is not None:
            for event in events:
                if isinstance(event, Committed):
                    self._words += event.words
                    self._spoken += event.spoken
        return events

    def _save(self, error: Exception | None) -> None:
        """End the file of the audio, and write the transcript; an error in that is not the first one."""
        if self._writer is None:
            return
        try:
            self._writer.close()
            self.written.append(self._writer.path)
            transcript = self.transcript()
            for path in self._transcripts:
                write_text_atomic(path, render(transcript, path.suffix[1:]))
                self.written.append(path)
        except OSError:
            if error is None:
                raise

    def transcript(self) -> Transcript:
        """Return the transcript of what has been committed and saved."""
        words, spoken = tuple(self._words), tuple(self._spoken)
        return Transcript(
            text=text_of(words),
            words=words,
            duration=self.live.seconds,
            confidence=float(np.mean([word.confidence for word in spoken])) if spoken else None,
            source=str(self._writer.path) if self._writer is not None else "",
            spoken=spoken if spoken != words else (),
        )
