"""Live recognition: how soon words are committed, their errors beside those of the whole recording, memory.

python benchmarks/live.py                                     # the two clips of recipes/english
python benchmarks/live.py data/librispeech/dev.jsonl.gz       # the utterances of each speaker, joined
python benchmarks/live.py --hours 1 data/librispeech/dev.jsonl.gz

The clock is simulated: audio arrives as time goes by, in blocks of ``--block`` seconds, `asr.Live` is fed all that has
arrived, and the time that it takes is measured and added to the clock, while more audio arrives. So the figures are
those of a recording played in real time, on a machine that does nothing else, and take only as long as the computing.
The columns are

- p50, p95: seconds from the end of a word in the audio to the moment at which it is committed;
- first: the same for the moment at which it is shown for the first time, the last version of a partial word;
- WER of the committed words, and of the whole recording read at once, where a manifest has the text; the difference of
  the two from each other (the committed words against those of the whole recording);
- load: computing time for a second of audio.

``--hours`` repeats the audio for so long, and prints the memory of the process after the first and the last part.
Run nothing else on the machine meanwhile; on a busy one ``OMP_NUM_THREADS=1`` and ``--cpu-time`` come close.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from _common import machine_line

import asr
from asr import audio
from asr.data import manifest
from asr.inference.live import GUARD_SECONDS, STEP_SECONDS
from asr.metrics.error_rate import ErrorCounts, count_errors
from asr.output.transcript import Word
from asr.text.normalization import TextNormalizer

CLIPS = Path(__file__).parents[1] / "recipes" / "english" / "clips"
MANIFESTS = (".jsonl", ".jsonl.gz")


def recordings(paths: list[Path], rate: int, seconds: float) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield the name, the samples and the text of each file, or of each speaker of a manifest; "" without a text."""
    for path in paths:
        if not path.name.endswith(MANIFESTS):
            text = path.with_suffix(".txt")
            yield path.name, audio.read(path, rate), text.read_text(encoding="utf-8") if text.exists() else ""
            continue
        of_speaker: dict[str, list[Any]] = defaultdict(list)
        for cut in manifest.read(path):
            of_speaker[str(cut.supervisions[0].speaker or "")].append(cut)
        for speaker, cuts in of_speaker.items():
            parts, texts, total = [], [], 0.0
            for cut in cuts:
                if seconds and total >= seconds:
                    break
                parts.append(cut.resample(rate).load_audio()[0].astype(np.float32))
                texts.append(str(cut.supervisions[0].text))
                total += len(parts[-1]) / rate
            yield speaker, np.concatenate(parts), " ".join(texts)


class Clock:
    """Plays samples to live recognition in real time, by a simulated clock.

    Attributes:
        now: seconds.
        busy: seconds of computing.
        committed: committed bare words, with the second at which each was committed.
    """

    def __init__(self, live: asr.Live, block: float, seconds: Callable[[], float] = time.perf_counter) -> None:
        self.live, self.block, self.seconds = live, block, seconds
        self.now = self.busy = 0.0
        self.committed: list[tuple[Word, float]] = []
        self.latency: list[float] = []
        self.first: list[float] = []
        self._shown: dict[str, float] = {}

    def play(self, samples: np.ndarray) -> None:
        """Feed what has arrived, again and again."""
        rate = self.live.sample_rate
        start = at = self.live.seconds
        end = start + len(samples) / rate
        while at < end:
            arrived = min(max(int(self.now / self.block) * self.block, at + self.block), end)
            self.now = max(self.now, arrived)
            piece = samples[round((at - start) * rate) : round((arrived - start) * rate)]
            self._take(lambda piece=piece: self.live.feed(piece))
            at = arrived

    def finish(self) -> None:
        """End the audio."""
        self._take(self.live.finish)

    def _take(self, call: Any) -> None:
        begin = self.seconds()
        events = call()
        taken = self.seconds() - begin
        self.busy += taken
        self.now += taken
        for event in events:
            if isinstance(event, asr.Committed):
                self.committed += [(word, self.now) for word in event.spoken]
                self.latency += [self.now - word.end for word in event.words]
                self.first += [
                    self._shown.get(f"{word.text} {round(word.start)}", self.now) - word.end for word in event.words
                ]
            else:
                shown = {f"{word.text} {round(word.start)}" for word in event.words}
                self._shown = {key: self._shown.get(key, self.now) for key in shown}


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", type=Path, help="audio files or manifests")
    parser.add_argument("--model", default="english")
    parser.add_argument("--plain", action="store_true", help="without punctuation and capitals")
    parser.add_argument("--seconds", type=float, default=0.0, help="of each speaker of a manifest; default: all")
    parser.add_argument("--block", type=float, default=0.1, help="seconds of audio that arrive at a time")
    parser.add_argument("--cpu-time", action="store_true", help="charge CPU time: for a busy machine, with one thread")
    parser.add_argument("--beam", type=int, default=0, help="of the decoder; default: that of the model")
    parser.add_argument("--step", type=float, default=STEP_SECONDS)
    parser.add_argument("--guard", type=float, default=GUARD_SECONDS)
    parser.add_argument("--hours", type=float, default=0.0, help="repeat the audio for so long, for memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def main() -> None:
    """Measure the recordings that the command line names, and print a table."""
    options = parse_arguments()
    decoder = {"beam": options.beam} if options.beam else None
    recognizer = asr.load(options.model, plain=options.plain, decoder=decoder)
    normalize = TextNormalizer.english().apply
    rate = recognizer.sample_rate
    inputs = options.inputs or sorted(CLIPS.glob("*.opus"))
    warm_up = asr.Live(recognizer)
    warm_up.feed(np.random.default_rng(0).normal(0, 0.01, rate).astype(np.float32))  # loads compiled code
    warm_up.finish()
    print(machine_line())
    print("| recording | minutes | words | p50 | p95 | first | WER live % | WER whole % | live to whole % | load |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    latency: list[float] = []
    first: list[float] = []
    sums = [ErrorCounts(), ErrorCounts(), ErrorCounts()]
    busy = minutes = 0.0
    rows = []
    for name, samples, text in recordings(inputs, rate, options.seconds):
        live = asr.Live(recognizer, step=options.step, guard=options.guard)
        clock = Clock(live, options.block, time.process_time if options.cpu_time else time.perf_counter)
        clock.play(samples)
        clock.finish()
        found = normalize(" ".join(word.text for word, _ in clock.committed))
        whole = normalize(recognizer.transcribe(samples).plain.text)
        reference = normalize(text)
        errors = [
            count_errors("wer", reference, found) if text else ErrorCounts(),
            count_errors("wer", reference, whole) if text else ErrorCounts(),
            count_errors("wer", whole, found),
        ]
        latency += clock.latency
        first += clock.first
        sums = [total + count for total, count in zip(sums, errors, strict=True)]
        busy += clock.busy
        minutes += len(samples) / rate / 60
        rows.append(row(name, len(samples) / rate / 60, clock.latency, clock.first, errors, clock.busy))
    if len(rows) > 1:
        rows.append(row("all", minutes, latency, first, sums, busy))
    if options.hours:
        print_memory(recognizer, inputs, options)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def row(
    name: str, minutes: float, latency: list[float], first: list[float], errors: list[ErrorCounts], busy: float
) -> dict[str, Any]:
    """Print a row of the table, and return it."""
    p50, p95 = np.percentile(latency, [50, 95]) if latency else (float("nan"), float("nan"))
    shown = float(np.median(first)) if first else float("nan")
    rates = [100 * count.rate if count.reference else float("nan") for count in errors]
    load = busy / (60 * minutes)
    print(
        f"| {name} | {minutes:.1f} | {len(latency)} | {p50:.2f} | {p95:.2f} | {shown:.2f} "
        f"| {rates[0]:.1f} | {rates[1]:.1f} | {rates[2]:.1f} | {load:.3f} |",
        flush=True,
    )
    keys = ("p50", "p95", "first", "wer_live", "wer_whole", "live_to_whole", "load")
    return {"recording": name, "minutes": minutes, "words": len(latency)} | dict(
        zip(keys, (float(p50), float(p95), shown, *rates, load), strict=True)
    )


def print_memory(recognizer: asr.Recognizer, inputs: list[Path], options: argparse.Namespace) -> None:
    """Print the memory of the process before, and every tenth part of the hours."""
    live = asr.Live(recognizer)
    process = psutil.Process()
    items = [samples for _, samples, _ in recordings(inputs, live.sample_rate, options.seconds)]
    parts = 10
    print("| minutes fed | memory, MB |\n| --- | --- |")
    printed = 0
    for samples in cycle(items):
        for begin in range(0, len(samples), live.sample_rate):
            live.feed(samples[begin : begin + live.sample_rate])
            if live.seconds >= printed * options.hours * 3600 / parts:
                print(f"| {live.seconds / 60:.0f} | {process.memory_info().rss / 1e6:.0f} |", flush=True)
                printed += 1
            if printed > parts:
                return


if __name__ == "__main__":
    main()
