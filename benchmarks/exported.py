"""A recognizer exported to ONNX, in float32 and in 8 bits, against torch: speed, size, error rates.

    python benchmarks/exported.py MODEL [--manifest MANIFEST] [--seconds 10] [--quick] [--json FILE]

Each row compares the network alone, features included, from waveforms to log-probabilities: one utterance of random
noise, and a batch of eight. With a manifest follow the error rates of the model's own decoder (of its first 100
utterances with --quick), and last the sizes of the files. The peer is torch with the model's own weights; all take
turns in one run, on as many threads as torch has.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import torch
from _common import Report, arguments, medians
from torch import Tensor

from asr.data.speech_dataset import SpeechDataset
from asr.evaluation.speech import evaluate_task, read_cuts
from asr.inference.recognizer import Recognizer
from asr.models.onnx_export import export_model
from asr.tasks.speech_frontend import SpeechTask


@torch.inference_mode()
def run(task: SpeechTask, inputs: Tensor, lengths: Tensor) -> None:
    task(inputs, lengths)


def noise(rows: int, seconds: float, rate: int) -> tuple[Tensor, Tensor]:
    """Noise that comes and goes four times a second: `asr.features.silence` finds none of it silent."""
    samples = round(seconds * rate)
    envelope = torch.arange(samples).mul(4 * torch.pi / rate).sin().abs()
    return 0.1 * torch.randn(rows, samples) * envelope, torch.full((rows,), samples)


def error_rate(recognizer: Recognizer, manifest: str, most: int | None) -> tuple[str, float]:
    """Return the name and the value of the first error rate of the head that is decoded."""
    cuts, _ = read_cuts([manifest], by_speaker=False)
    decoders = {recognizer.head: recognizer.decoder}
    vocabularies = {recognizer.head: recognizer.decoder.scoring_vocabulary}
    dataset = SpeechDataset(cuts[:most], vocabularies, recognizer.sample_rate, encode=False)
    report = evaluate_task(recognizer.task, dataset, decoders)[recognizer.head]
    return report.kinds[0], report.totals[report.kinds[0]].rate


def main() -> None:
    options = arguments(__doc__, "model", manifest="", seconds=10.0)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        exported = {"ONNX float32": Path(folder) / "float32", "ONNX int8": Path(folder) / "int8"}
        for name, path in exported.items():
            export_model(options.model, path, int8=name.endswith("int8"))
        models = {
            name: Recognizer.load(path, plain=True) for name, path in {"torch": options.model, **exported}.items()
        }
        rate = models["torch"].sample_rate
        if rate is None:
            raise SystemExit(f"{options.model} reads features, not audio")
        report = Report()
        for rows in (1, 8):
            batch = noise(rows, options.seconds, rate)
            repeats = 3 if options.quick else 9
            seconds = medians(*(partial(run, model.task, *batch) for model in models.values()), repeats=repeats)
            for name, taken in list(zip(models, seconds, strict=True))[1:]:
                report.add(f"{rows} x {options.seconds:g} s: {name}", taken, seconds[0], "torch", "s")
        if options.manifest:
            rates = {n: error_rate(m, options.manifest, 100 if options.quick else None) for n, m in models.items()}
            for name in exported:
                kind, value = rates[name]
                report.add(f"{kind} of {options.manifest}: {name}", value, rates["torch"][1], "torch", "of tokens")
        sizes = {name: (path / "model.onnx").stat().st_size / 1e6 for name, path in exported.items()}
        report.add("size of the file: ONNX int8", sizes["ONNX int8"], sizes["ONNX float32"], "ONNX float32", "MB")
        report.write(options.json)


if __name__ == "__main__":
    main()
