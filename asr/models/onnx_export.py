"""Export recognizers to ONNX: the whole network, from the waveform to log-probabilities, in one graph.

The graph does what `asr.tasks.ctc.CTCTask.forward` does in evaluation mode: features, their normalization, frames
without a signal cut out, encoder with self-conditioning, all heads, and a certain blank where there is no signal.
"""

from __future__ import annotations

import copy
import json
import logging
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asr._version import __version__
from asr.errors import InputError
from asr.features.graph import FeatureGraph
from asr.features.silence import silent_frames
from asr.models import store
from asr.models.directory import CONFIG, ONNX, WEIGHTS, find, read_config, system_of
from asr.models.onnx_task import (
    FORMAT,
    LENGTHS,
    MISSING,
    OUTPUT,
    OUTPUT_LENGTHS,
    OnnxTask,
)
from asr.modules.graph import RNNGraph
from asr.tasks.ctc import CTCTask

OPSET = 18
AUDIO, FEATURES = "audio", "features"  # names of the input

# Largest and mean difference from torch's log-probabilities, in nats, over all labels and frames. Float32 differs by
# rounding; weights of 8 bits are an approximation, whose largest difference says nothing.
LIMITS = {"float32": (2e-2, 1e-3), "int8": (float("inf"), 0.5)}


@dataclass(frozen=True)
class Export:
    """What `export_model` has written.

    Attributes:
        directory: the exported model.
        bytes: size of its network.
        largest: greatest difference of a log-probability from torch's, in nats, over the checked utterances.
        mean: mean difference.
    """

    directory: Path
    bytes: int
    largest: float
    mean: float


class RecognizerGraph(nn.Module):
    """A CTC recognizer in evaluation mode without Python's control flow.

    ``forward(inputs, lengths)``: see `FeatureGraph`. Returns the log-probabilities (N, T', V) of each head,
    and the number of output frames (N,).

    Args:
        task: the recognizer, which stays unchanged.

    Raises:
        InputError: its features or its cell cannot be exported.
    """

    def __init__(self, task: CTCTask) -> None:
        super().__init__()
        self.features = FeatureGraph(task.features)
        self.task = copy.deepcopy(task)
        self.task.encoder.rnn = RNNGraph(self.task.encoder.rnn)  # type: ignore[assignment]

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Compute log-probabilities; see the class."""
        task, encoder = self.task, self.task.encoder
        x, frames = self.features(inputs, lengths)
        output_lengths = encoder.output_lengths(frames)
        silent = None
        if (rate := task.features.sample_rate) is not None:
            total = (x.shape[1] + encoder.stride - 1) // encoder.stride
            silent = silent_frames(inputs, lengths, rate, output_lengths, task.frame_seconds, total)
        scores, _ = task.score_features(x, frames, task.vocabularies, silent, together=True)
        return *scores.values(), output_lengths


def export_model(model: str | Path, output: Path, *, int8: bool = False, overwrite: bool = False) -> Export:
    """Write a model directory whose network is in ``model.onnx``, for onnxruntime, in place of the weights.

    The exported network is compared with torch on random utterances before anything is at ``output``.

    Args:
        model: a speech recognizer of type ctc: its model directory or training run.
        output: the directory to write.
        int8: weights of the recurrent layers in 8 bits (dynamic quantization).
        overwrite: replace a directory that exists.

    Raises:
        InputError: the model cannot be loaded or exported, ``output`` exists, onnx, onnxscript or onnxruntime are not
            installed, or the exported network differs from torch; then nothing is written.
        OSError: a file cannot be written.
    """
    directory = find(model)
    system = system_of(read_config(directory))
    if system.load("task") is not CTCTask:
        raise InputError(f"{model}: a {system.noun}; speech recognizers of type ctc can be exported")
    output = Path(output).resolve()
    if output.exists() and not (overwrite and (output / CONFIG).is_file()):
        raise InputError(f"{output}: exists" + ("" if overwrite else "; --overwrite replaces an exported model"))
    if output == directory.resolve():
        raise InputError(f"{output}: the model that is exported; choose another directory")
    _check_packages()
    task = store.load(directory, CTCTask)
    new = output.with_name(f".{output.name}-{secrets.token_hex(4)}")
    try:
        shutil.copytree(directory, new, ignore=shutil.ignore_patterns(".*"), copy_function=shutil.copyfile)
        (new / WEIGHTS).unlink()  # those of the network; a language model in a folder of its own keeps its weights
        write_network(task, new / ONNX, int8=int8)
        largest, mean = difference(task, OnnxTask.load(new))
        precision = "int8" if int8 else "float32"
        if not (largest <= LIMITS[precision][0] and mean <= LIMITS[precision][1]):
            raise InputError(
                f"{model}: the exported network differs from torch: log-probabilities by up to {largest:.2g} "
                f"nats, {mean:.2g} on average; nothing is written"
            )
        size = (new / ONNX).stat().st_size
        store.put_in_place(new, output)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return Export(output, size, largest, mean)


def _check_packages() -> None:
    """Raise InputError unless all packages are installed that an export needs."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"asr export: {MISSING}") from error


def write_network(task: CTCTask, path: Path, *, int8: bool = False) -> None:
    """Write the network of a recognizer as a file of ONNX, with metadata; docs/onnx.md describes it.

    Raises:
        InputError: there is no graph for the features or the cell of the model.
    """
    import onnx

    graph = RecognizerGraph(task.cpu()).eval()
    name, axis = (AUDIO, "samples") if task.features.sample_rate else (FEATURES, "frames")
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            next(utterances(task)),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=({0: "batch", 1: axis}, {0: "batch"}),
            input_names=[name, LENGTHS],
            output_names=[*(OUTPUT.format(head) for head in task.vocabularies), OUTPUT_LENGTHS],
            verbose=False,
        )
    assert program is not None
    network = program.model_proto
    _name_axes(network)
    network.producer_name, network.producer_version = "asr", __version__
    for node in network.graph.node:  # of the exporter: paths of this machine among them
        del node.metadata_props[:]
    for key, value in metadata(task, "int8" if int8 else "float32").items():
        network.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(network)
    if int8:
        network = _quantized(network)
    path.write_bytes(network.SerializeToString())


def metadata(task: CTCTask, precision: str) -> dict[str, str]:
    """Return what an exported file says of itself."""
    heads = {
        head: {"output": OUTPUT.format(head), "kind": v.kind, "blank": v.blank, "labels": list(v.tokens)}
        for head, v in task.vocabularies.items()
    }
    return {
        "format": FORMAT,
        "asr_version": __version__,
        "heads": json.dumps(heads, ensure_ascii=False),
        "sample_rate": str(task.features.sample_rate or ""),
        "frame_seconds": repr(task.frame_seconds),
        "precision": precision,
        "weights": str(sum(parameter.numel() for parameter in task.parameters())),
    }


def _name_axes(network: Any) -> None:
    """Name the time axis of outputs, which the exporter calls by a formula, and forget the shapes of inner values."""
    for value in network.graph.output:
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 3:
            dims[1].dim_param = "output_frames"
    del network.graph.value_info[:]


def _quantized(network: Any) -> Any:
    """Return a network whose recurrent layers have weights of 8 bits."""
    import tempfile

    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / ONNX
        quantize_dynamic(network, path, op_types_to_quantize=["LSTM"], weight_type=QuantType.QInt8)
        return onnx.load(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings, which concern its developers, from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", "root")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def utterances(task: CTCTask, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of random utterances, for comparisons: inputs and lengths.

    Noise in syllables, of different level and length, one shorter than a window, one with a long pause.
    """
    random = np.random.default_rng(seed)
    rate = task.features.sample_rate
    for seconds in ((2.0, 3.1, 0.02), (4.0,), (0.5, 1.7, 0.9, 2.6)):
        if rate is None:
            lengths = [max(1, round(s / task.features.frame_seconds)) for s in seconds]
            rows = [_random_features(task, random, length) for length in lengths]
        else:
            lengths = [round(s * rate) for s in seconds]
            rows = [_syllables(random, length, rate, pause=length > 3.5 * rate) for length in lengths]
        inputs = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True)
        yield inputs, torch.tensor(lengths)


def _syllables(random: np.random.Generator, samples: int, rate: int, pause: bool) -> np.ndarray:
    """Return noise (S,) that comes and goes four times a second."""
    envelope = np.abs(np.sin(np.arange(samples) * (4 * np.pi / rate) + random.uniform(0, 3)))
    if pause:
        envelope[samples // 3 : samples * 4 // 5] = 0
    return (random.standard_normal(samples) * envelope * random.uniform(0.003, 0.2)).astype(np.float32)


def _random_features(task: CTCTask, random: np.random.Generator, frames: int) -> np.ndarray:
    """Return features (T, D) like those that the model was trained on."""
    size = task.features.dim // (1 + task.features.deltas)
    values = random.standard_normal((frames, size))
    if task.features.normalization.mode in ("global", "both"):
        mean, std = (x[:size].numpy() for x in (task.features.normalization.mean, task.features.normalization.std))
        values = values * std + mean
    return values.astype(np.float32)


@torch.no_grad()  # in inference mode a network may compute in bfloat16
def difference(task: CTCTask, exported: OnnxTask) -> tuple[float, float]:
    """Compare an exported network with torch on `utterances`.

    Returns:
        The largest and the mean difference of log-probabilities in nats, infinite if numbers of frames differ.
    """
    differences = []
    for inputs, lengths in utterances(task, seed=1):
        expected, frames = task(inputs, lengths)
        found, found_frames = exported(inputs, lengths)
        if not torch.equal(frames, found_frames):
            return float("inf"), float("inf")
        for row, count in enumerate(frames.tolist()):
            for head, log_probs in expected.items():
                own = (log_probs[row, :count] - found[head][row, :count]).abs()
                differences.append(own.nan_to_num(nan=torch.inf).flatten())
    every = torch.cat(differences)
    return float(every.max()), float(every.mean())
