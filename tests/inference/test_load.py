"""Loading a model of any system, and what importing and loading do to a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import asr
from asr.errors import InputError
from asr.inference.decoders.beam import BeamDecoder

SUBNORMAL = 1e-40


def flushes() -> bool:
    """Whether this thread rounds subnormal numbers to zero."""
    return bool((torch.tensor([SUBNORMAL]) * 1).eq(0).all())


def test_options_are_those_of_the_runner(tone_run: Path, class_run: Path) -> None:
    recognizer = asr.load(tone_run, batch_seconds=5.0, decoder={"beam": 7})
    assert isinstance(recognizer, asr.Recognizer) and recognizer.batch_seconds == 5
    assert isinstance(recognizer.decoder, BeamDecoder) and recognizer.decoder.options.beam == 7
    classifier = asr.load(class_run, device="cpu", window=0.3)
    assert isinstance(classifier, asr.Classifier) and classifier.window == 0.3


def test_an_option_of_another_runner_is_refused(class_run: Path) -> None:
    message = (
        "the Classifier of a model of type classification has no option decoder; it has device, batch_seconds, window"
    )
    with pytest.raises(InputError, match=message):
        asr.load(class_run, decoder={"beam": 7})


def test_loading_flushes_subnormal_numbers_and_constructing_a_runner_does_not(tone_run: Path, class_run: Path) -> None:
    recognizer, classifier = asr.Recognizer.load(tone_run), asr.Classifier.load(class_run)
    assert flushes()
    torch.set_flush_denormal(False)
    asr.Recognizer(recognizer.task), asr.Classifier(classifier.task)
    assert not flushes()
    asr.load(tone_run)
    assert flushes()


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_asr_is_light() -> None:
    program = "import sys, asr; print(asr.__all__); print(*{name.split('.')[0] for name in sys.modules})"
    names, modules = run("-c", program).splitlines()
    assert "Generator" in names and not set(modules.split()) & {"torch", "numpy", "typer", "lightning"}


def test_all_exported_names_exist() -> None:
    assert all(hasattr(asr, name) for name in asr.__all__)


def test_python_m_asr_is_the_command() -> None:
    assert run("-m", "asr", "--version") == asr.__version__ + "\n"


@pytest.mark.parametrize("decoder", ["beam", ["beam"], 5])
def test_a_decoder_that_is_no_mapping(tone_run: Path, decoder: Any) -> None:
    with pytest.raises(InputError, match=r"decoder=.*: expected a mapping of options"):
        asr.load(tone_run, decoder=decoder)
