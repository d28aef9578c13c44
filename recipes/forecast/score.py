"""Compare a model's forecasts of the next value with simple ones: ``python recipes/forecast/score.py MODEL FOLDER``.

The model's is the mean of the values by its probabilities. Beside it: the value before (naive); a straight line through
the two before; the mean that follows the 20 values before by least squares on train.txt. All see levels, as letters.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from make import value  # beside this file

from asr.inference.generator import Generator

ORDER = 20


def read(path: Path) -> np.ndarray:
    """Return the values (T,) of a file of letters."""
    return np.array([value(letter) for letter in path.read_text(encoding="utf-8").strip()])


def windows(series: np.ndarray) -> np.ndarray:
    """Return the values before each from number `ORDER` on, and a 1, (T - ORDER, ORDER + 1)."""
    before = np.lib.stride_tricks.sliding_window_view(series[:-1], ORDER)
    return np.concatenate([before, np.ones((len(before), 1))], axis=1)


def model_forecasts(generator: Generator, text: str) -> np.ndarray:
    """Return the model's forecast (T,) of each value of a text, given those before it."""
    task = generator.task
    labels = torch.tensor([[task.eos, *task.vocabulary.encode(text, "the series")]])
    with torch.inference_mode():
        log_probs, _ = task(labels[:, :-1])
    letters = [
        (label, token) for label, token in enumerate(task.vocabulary.tokens) if len(token) == 1 and token.strip()
    ]
    probs = log_probs[0, :, [label for label, _ in letters]].softmax(dim=1).numpy()
    return probs @ np.array([value(token) for _, token in letters])


def main(model: str, folder: Path) -> None:
    """Print the errors."""
    train, test = read(folder / "train.txt"), read(folder / "test.txt")
    weights = np.linalg.lstsq(windows(train), train[ORDER:], rcond=None)[0]
    forecasts = {
        "value before": test[ORDER - 1 : -1],
        "straight line": 2 * test[ORDER - 1 : -1] - test[ORDER - 2 : -2],
        f"least squares of {ORDER} values": windows(test) @ weights,
        "model": model_forecasts(Generator.load(model), (folder / "test.txt").read_text().strip())[ORDER:],
    }
    spread = test[ORDER:].std()
    print("| forecast | mean absolute error | root mean square error / standard deviation |\n| --- | --- | --- |")
    for name, forecast in forecasts.items():
        error = forecast - test[ORDER:]
        print(f"| {name} | {np.abs(error).mean():.4f} | {np.sqrt((error**2).mean()) / spread:.3f} |")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
