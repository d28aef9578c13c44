"""Error rates of recordings of 3 minutes that are transcribed in windows and as a whole, for a trained model.

    python benchmarks/windows.py MODEL MANIFEST [--minutes 3] [--longest 60] [--context 3] [--quick] [--json FILE]

Utterances of a manifest are joined, speaker by speaker, into recordings, which are transcribed in windows and as a
whole. Labels are characters (phones for a phone head). Target: no more errors in windows. The second row is the edit
distance of both texts, relative to the length of the whole recording's text: windows are normalized by themselves, and
a network trained on short utterances is not necessarily better on long ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice

import numpy as np
from _common import Report, arguments

from asr import audio
from asr.data import manifest
from asr.data.speech_dataset import transcript
from asr.inference import windows
from asr.inference.recognizer import Recognizer
from asr.metrics.error_rate import ErrorCounts, Kind, count_errors
from asr.text.vocabulary import Vocabulary


def recordings(path: str, seconds: float, rate: int, vocabulary: Vocabulary) -> Iterator[tuple[np.ndarray, str]]:
    """Yield waveforms of at least ``seconds``, each of one speaker's utterances, and their texts."""
    cuts = sorted(manifest.read(path), key=lambda cut: (manifest.speaker(cut), cut.id))
    for _, its_cuts in groupby(cuts, manifest.speaker):
        parts: list[np.ndarray] = []
        texts: list[str] = []
        for cut in its_cuts:
            text = transcript(cut, vocabulary)
            if text is None:
                continue
            parts.append(audio.read(manifest.audio_path(cut), rate, start=cut.start, duration=cut.duration))
            texts.append(text)
            if sum(map(len, parts)) >= seconds * rate:
                yield np.concatenate(parts), " ".join(texts)
                parts, texts = [], []


def main() -> None:
    options = arguments(__doc__, "model", "manifest", minutes=3.0, longest=60.0, context=3.0)
    model = Recognizer.load(options.model, plain=True)
    kind: Kind = "per" if model.vocabulary.kind == "phones" else "cer"
    rate = model.sample_rate
    if rate is None:
        raise SystemExit(f"{options.model} reads features, not audio")
    joined = recordings(options.manifest, 60 * options.minutes, rate, model.vocabulary)
    long_recordings = list(islice(joined, 2 if options.quick else None))
    if not long_recordings:
        raise SystemExit(f"{options.manifest}: no speaker has {options.minutes} minutes")
    totals = {name: ErrorCounts() for name in ("differ", "windows", "whole")}
    for waveform, reference in long_recordings:
        windows.MIN_CORE_SECONDS, windows.MAX_CORE_SECONDS = options.longest / 2, options.longest
        windows.CONTEXT_SECONDS = options.context
        in_windows = model.transcribe(waveform).text
        windows.MAX_CORE_SECONDS = len(waveform) / rate
        whole = model.transcribe(waveform).text
        reference = model.vocabulary.normalize_for_scoring(reference)
        pairs = {"differ": (whole, in_windows), "windows": (reference, in_windows), "whole": (reference, whole)}
        totals = {name: totals[name] + count_errors(kind, *pair) for name, pair in pairs.items()}
    rates = {name: counts.rate for name, counts in totals.items()}
    report = Report()
    case = f"{len(long_recordings)} x {options.minutes:g} min, up to {options.longest:g} + 2 x {options.context:g} s"
    report.add(f"{case}: errors", rates["windows"], rates["whole"], "whole", "of labels")
    report.add(f"{case}: differ", rates["differ"], rates["whole"], "errors", "of labels")
    report.write(options.json)


if __name__ == "__main__":
    main()
