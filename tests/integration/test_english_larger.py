"""recipes/english/deepen.py and widen.py: larger networks that compute what the smaller ones did, and can learn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.errors import InputError
from asr.models import directory, store
from asr.modules.label_rnn import LabelRNN
from asr.tasks.ctc import CTCTask
from asr.tasks.language import LanguageTask
from asr.text.vocabulary import EOS, Vocabulary

SCRIPTS = Path(__file__).parents[2] / "recipes" / "english"
FEATURES = {"type": "filterbank", "sample_rate": 8000, "num_mels": 8, "normalization": "utterance"}


def run(script: str, *arguments: str | Path, status: int = 0) -> str:
    """Run a script of the recipe; return what it says of an error."""
    done = subprocess.run([sys.executable, SCRIPTS / script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stderr


def language_model(path: Path, num_layers: int = 1) -> LanguageTask:
    torch.manual_seed(0)
    vocabulary = Vocabulary.characters("abc", specials=(EOS,))
    size: dict[str, Any] = {"embedding_size": 4, "hidden_size": 6, "num_layers": num_layers}
    task = LanguageTask({"text": vocabulary}, LabelRNN(len(vocabulary), **size))
    cell = {"type": "label_rnn", "cell": "lstm", "layer_norm": False}
    config: dict[str, Any] = {"task": {"type": "language", "heads": {"text": {}}}, "label_rnn": {**cell, **size}}
    store.save(task, path, config)
    return task


def test_wider(tmp_path: Path) -> None:
    narrow = language_model(tmp_path / "narrow")
    run("widen.py", tmp_path / "narrow", tmp_path / "wide", "--units", "10")
    wide = store.load(tmp_path / "wide", LanguageTask)
    assert wide.network.hidden_size == 10
    labels = torch.randint(len(narrow.vocabulary), (3, 20))
    torch.testing.assert_close(wide(labels)[0], narrow.eval()(labels)[0])
    wide.loss(labels)[0].backward()
    gradient = wide.network.output.weight.grad
    assert gradient is not None and gradient[:, 6:].abs().min() > 0  # the new units are read from the first step on


def test_deeper(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = {"type": "rnn", "hidden_size": 5, "num_layers": 1, "cell": "lstm", "bidirectional": True, "residual": 0}
    config: dict[str, Any] = {"task": {"type": "ctc", "heads": {"text": {}}}, "features": FEATURES}
    config |= {"encoder": encoder, "augmentation": None}
    shallow = store.make_task(config, {"text": Vocabulary.characters(" abc")}).eval()
    store.save(shallow, tmp_path / "shallow", config)
    run("deepen.py", tmp_path / "shallow", tmp_path / "deep", "--layers", "2")
    deep = store.load(tmp_path / "deep", CTCTask)
    assert deep.encoder.num_layers == 3
    waveform, lengths = torch.randn(2, 4000), torch.tensor([4000, 3000])
    torch.testing.assert_close(deep(waveform, lengths)[0]["text"], shallow(waveform, lengths)[0]["text"])


@pytest.mark.parametrize(
    ("units", "num_layers", "message"), [("6", 1, "--units 6: use more than the 6"), ("9", 2, "needs one LSTM layer")]
)
def test_what_cannot_be_widened(tmp_path: Path, units: str, num_layers: int, message: str) -> None:
    language_model(tmp_path / "narrow", num_layers)
    assert message in run("widen.py", tmp_path / "narrow", tmp_path / "wide", "--units", units, status=2)
    with pytest.raises(InputError):
        directory.read_config(tmp_path / "wide")
