"""The peer of transcribe.py: the same network as a short script would run it, one file at a time.

    python benchmarks/_naive_transcribe.py MODEL FILES...

librosa reads, resamples and computes the features, a packed ``nn.LSTM`` the scores; the best path is printed, a line a
file. Uses nothing of the package. Reads model directories of filter-bank models with one head.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def features(path: str, options: dict[str, Any], state: dict[str, Tensor]) -> np.ndarray:
    """Compute normalized features (T, F)."""
    rate, bins = options.get("sample_rate", 16000), options.get("num_mels", 40)
    window, hop = round(rate * 0.025), round(rate * 0.010)
    fft = 1 << (window - 1).bit_length()
    samples, _ = librosa.load(path, sr=rate)
    samples = np.pad(samples, (fft - window) // 2)  # librosa centers a window in its FFT frame
    power = np.abs(librosa.stft(samples, n_fft=fft, win_length=window, hop_length=hop, center=False)) ** 2
    rows = [librosa.feature.melspectrogram(S=power, sr=rate, n_mels=bins)]
    if options.get("energy", True):
        weights = np.full(len(power), 2 / fft, dtype=np.float32)  # Parseval
        weights[[0, -1]] /= 2
        rows.append(weights[None] @ power)
    static = np.log(np.maximum(np.concatenate(rows), 1e-10))
    orders = range(1, 1 + options.get("deltas", 2))
    deltas = [librosa.feature.delta(static, width=9, order=order, mode="nearest") for order in orders]
    x = np.concatenate([static, *deltas]).T
    if options.get("normalization", "global") == "global":
        mean, std = (state[f"features.normalization.{name}"].numpy() for name in ("mean", "std"))
    else:
        mean, std = options.get("mean_fraction", 1.0) * x.mean(0), x.std(0)
        if not options.get("scale", True):
            std = np.ones_like(std)
    return (x - mean) / np.where(std < 1e-5, 1, std)  # a band without sound has no spread


def stacked(x: np.ndarray, stack: int, stride: int) -> np.ndarray:
    """Return every ``stride``-th frame with the ``stack - 1`` after it, (T', F * stack)."""
    padded = np.concatenate([x, np.zeros((stack - 1, x.shape[1]), x.dtype)])
    return np.concatenate([padded[i : len(x) + i : stride] for i in range(stack)], axis=1)


def network(options: dict[str, Any], state: dict[str, Tensor]) -> tuple[nn.LSTM, nn.Linear]:
    """Return the BLSTM and the output layer with the model's weights."""
    hidden, layers = options.get("hidden_size", 250), options.get("num_layers", 3)
    size = state["encoder.rnn.forwards.0.weight_ih_l0"].shape[1]
    lstm = nn.LSTM(size, hidden, layers, bidirectional=True, batch_first=True)
    for direction, suffix in (("forwards", ""), ("backwards", "_reverse")):
        for layer in range(layers):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                parameter = state[f"encoder.rnn.{direction}.{layer}.{name}_l0"]
                lstm.get_parameter(f"{name}_l{layer}{suffix}").data.copy_(parameter)
    name = next(name for name in state if name.startswith("heads.")).rpartition(".")[0]
    head = nn.Linear(*reversed(state[f"{name}.weight"].shape))
    head.load_state_dict({key: state[f"{name}.{key}"] for key in ("weight", "bias")})
    return lstm.eval(), head


def main() -> None:
    model, *files = sys.argv[1:]
    config = yaml.safe_load((Path(model) / "config.yaml").read_text())
    state = load_file(Path(model) / "weights.safetensors")
    tokens = [token.replace("<space>", " ") for token in (Path(model) / "vocabulary.txt").read_text().split("\n")[1:]]
    encoder = config["encoder"]
    lstm, head = network(encoder, state)
    for path in files:
        x = stacked(features(path, config["features"], state), encoder.get("stack", 1), encoder.get("stride", 1))
        with torch.no_grad():
            inputs = torch.from_numpy(x.astype(np.float32))[None]
            packed = pack_padded_sequence(inputs, torch.tensor([len(x)]), batch_first=True)
            y = pad_packed_sequence(lstm(packed)[0], batch_first=True)[0]
            path_labels = head(y)[0].log_softmax(-1).argmax(-1).tolist()
        text = "".join(tokens[label] for label, _ in groupby(path_labels) if label)
        print(f"{path}: {' '.join(text.split())}", flush=True)


if __name__ == "__main__":
    main()
