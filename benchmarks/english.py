"""The model of English beside other recognizers, on the same files: word errors, speed, cold start, memory.

python -m venv peer && peer/bin/pip install pocketsphinx moonshine-cpp
python benchmarks/english.py --peer peer/bin/python data/librispeech/dev.jsonl.gz data/speechocean762/dev.jsonl.gz

Peers are those of the two packages that the interpreter ``--peer`` can import. Both have the weights of an English
model in their wheels. Most others have none: moonshine-voice 0.1.5 comes without, vosk, sherpa-onnx and faster-whisper
load theirs when they are first used. All recognizers get the same WAV files (16 kHz) of the manifests and use their
default settings. They run in processes of their own, one on each core at a time, over a part of the files each. The
columns are

- WER with its 95 % confidence interval, over speakers where there are several; texts are compared in small letters
  without punctuation. The last lines have the difference of each peer and ours on all sets, with its interval;
- CPU: seconds of computing for a second of speech, on one core, without loading. On an idle machine that is the
  real-time factor of one core;
- memory: the most that a process took;
- cold start: seconds from the command to the text of one file of about 10 s, on all cores, median of three.

``--utterances N`` takes N utterances of each manifest, evenly spaced. Without ``--peer`` our model is measured alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import soundfile
from _common import machine_line
from _recognize import RECOGNIZERS

from asr.data import manifest
from asr.metrics.error_rate import ErrorCounts, count_errors
from asr.metrics.significance import bootstrap_difference, bootstrap_interval, known_speakers, with_interval
from asr.text.normalization import TextNormalizer

WORKER = Path(__file__).with_name("_recognize.py")
RATE = 16_000
COLD_SECONDS = 10.0
COLD_RUNS = 3
Item: TypeAlias = tuple[Path, str, str, float]  # file, text, speaker and seconds of an utterance


def find_peers(python: str) -> list[str]:
    """Return the names of the recognizers besides ours that an interpreter can import."""
    names = [name for name in RECOGNIZERS if name != "ours"]
    code = f"from importlib.util import find_spec; print(*[name for name in {names} if find_spec(name)])"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    if not found:
        sys.exit(f"{python} has none of {', '.join(names)}")
    return found


def write_files(path: Path, count: int, folder: Path) -> list[Item]:
    """Write utterances of a manifest as WAV files."""
    cuts = manifest.read(path)
    if 0 < count < len(cuts):
        cuts = [cuts[i * len(cuts) // count] for i in range(count)]
    items = []
    for number, cut in enumerate(cuts):
        name = folder / f"{number}.wav"
        soundfile.write(name, cut.resample(RATE).load_audio()[0], RATE, subtype="PCM_16")
        supervision = cut.supervisions[0]
        items.append((name, str(supervision.text), str(supervision.speaker or ""), float(cut.duration)))
    return items


def recognize(python: str, name: str, files: list[Path]) -> dict[str, Any]:
    """Recognize files, in a process for each core: texts, CPU seconds in all, the largest process in MB."""
    cores = sorted(os.sched_getaffinity(0))

    def run(part: int) -> dict[str, Any]:
        own = "\n".join(map(str, files[part :: len(cores)]))
        command = [python, str(WORKER), name, str(cores[part])]
        done = subprocess.run(command, input=own, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name} failed: {done.stderr[-500:]}")
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    with ThreadPoolExecutor(len(cores)) as pool:
        parts = list(pool.map(run, range(len(cores))))
    texts = [parts[i % len(cores)]["texts"][i // len(cores)] for i in range(len(files))]
    return {
        "texts": texts,
        "cpu": sum(part["cpu"] for part in parts),
        "megabytes": max(part["megabytes"] for part in parts),
    }


def cold_start(python: str, name: str, file: Path) -> float:
    """Seconds of a new process for one file, on all cores: ours by the command line."""
    worker = [python, str(WORKER), name]
    command = [python, "-m", "asr", "transcribe", str(file)] if name == "ours" else worker
    seconds = []
    for _ in range(COLD_RUNS + 1):  # the first one fills caches
        begin = time.perf_counter()
        # elsewhere: a folder asr/ in the current one would be imported instead of what is measured
        subprocess.run(command, input=f"{file}\n", capture_output=True, text=True, check=True, cwd=file.parent)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def measure(python: str, name: str, items: Sequence[Item]) -> tuple[dict[str, Any], list[ErrorCounts]]:
    """Recognize the utterances of a set: the figures and texts, and the word errors of each utterance."""
    normalize = TextNormalizer.english().apply
    files, texts, speakers, lengths = (list(column) for column in zip(*items, strict=True))
    result = recognize(python, name, files)
    errors = [
        count_errors("wer", normalize(text), normalize(hypothesis))
        for text, hypothesis in zip(texts, result["texts"], strict=True)
    ]
    row = {
        "recognizer": name,
        "wer": sum(errors, ErrorCounts()).rate,
        "interval": bootstrap_interval(errors, known_speakers(speakers)),
        "cpu": result["cpu"] / sum(lengths),
        "megabytes": result["megabytes"],
        "texts": result["texts"],
        "references": texts,
    }
    return row, errors


def main() -> None:
    """Measure the recognizers that the command line names, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="+", type=Path)
    parser.add_argument("--peer", help="Python interpreter of an environment with other recognizers")
    parser.add_argument("--utterances", type=int, default=0, help="of each manifest; default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and texts there")
    options = parser.parse_args()
    recognizers = {"ours": sys.executable}
    if options.peer:
        recognizers |= dict.fromkeys(find_peers(options.peer), options.peer)
    rows: list[dict[str, Any]] = []
    counts: dict[str, list[ErrorCounts]] = {name: [] for name in recognizers}
    all_speakers: list[str] = []
    print(machine_line())
    print("| set | utterances, speakers, minutes | recognizer | WER % | CPU | memory, MB | cold start, s |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        sets = []
        for number, path in enumerate(options.manifests):
            place = Path(folder, str(number))
            place.mkdir()
            sets.append((path, write_files(path, options.utterances, place)))
        every = chain.from_iterable(items for _, items in sets)
        cold_file = min(every, key=lambda item: abs(item[3] - COLD_SECONDS))[0]
        cold = {name: cold_start(python, name, cold_file) for name, python in recognizers.items()}
        for path, items in sets:
            speakers = [speaker for _, _, speaker, _ in items]
            all_speakers += [f"{path} {speaker}" for speaker in speakers]
            size = f"{len(items)}, {len(set(speakers))}, {sum(length for *_, length in items) / 60:.1f}"
            for name, python in recognizers.items():
                row, errors = measure(python, name, items)
                counts[name] += errors
                rows.append({"set": str(path), "cold_start": cold[name]} | row)
                print(
                    f"| {path} | {size} | {name} | {with_interval(row['wer'], row['interval'])} | {row['cpu']:.3f} "
                    f"| {row['megabytes']:.0f} | {cold[name]:.2f} |",
                    flush=True,
                )
    for name in list(recognizers)[1:]:
        difference = bootstrap_difference(counts["ours"], counts[name], known_speakers(all_speakers))
        print(f"{name} minus ours, all sets: {with_interval(difference.value, difference.interval)} points")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
