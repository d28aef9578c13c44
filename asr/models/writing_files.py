"""How a model's words are written: the group ``writing`` of a model directory, and the file that it names."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.models.directory import CONFIG, dump_config, read_config
from asr.output.writing import NUMBERS, Writer
from asr.text.punctuation import Punctuator
from asr.utils.atomic import atomic_path, write_atomic
from asr.utils.options import check_choice, check_names

PUNCTUATION = "punctuation.safetensors"


def read_writer(directory: Path, *, plain: bool = False, digits: bool = False) -> Writer | None:
    """Return what writes the words of a model as readable text; None if they stay as they are.

    Args:
        directory: a model directory. Its group ``writing`` may name a file of `asr.text.punctuation.Punctuator` as
            ``punctuation``, and a key of `asr.output.writing.NUMBERS` as ``numbers``.
        plain: leave out punctuation and capitals.
        digits: write numbers with digits.

    Raises:
        InputError: the group or file is damaged, or ``digits`` is asked of a model without ``numbers``.
    """
    options = read_config(directory).get("writing") or {}
    check_names(f"{directory / CONFIG}: writing", options, ("punctuation", "numbers"))
    numbers = options.get("numbers")
    if numbers is not None:
        check_choice(f"{directory / CONFIG}: writing.numbers", numbers, NUMBERS)
    if digits and numbers is None:
        raise InputError(
            f"{directory}: how numbers are written with digits is not said in its {CONFIG}; "
            f"for a model of English add writing: {{numbers: english}}"
        )
    punctuation = None if plain else options.get("punctuation")
    if punctuation is None and not digits:
        return None
    punctuator = None if punctuation is None else Punctuator.load(directory / str(punctuation))
    return Writer(punctuator, numbers if digits else None)


def copy_writing_files(writing: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Copy the file that a group ``writing`` names into a model directory; return the group with the copy's name.

    Raises:
        OSError: the file cannot be read.
    """
    options = dict(writing)
    if options.get("punctuation") is not None:
        source, target = Path(options["punctuation"]), directory / PUNCTUATION
        if not (target.exists() and target.samefile(source)):
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
        options["punctuation"] = PUNCTUATION
    return options


def set_writing(directory: Path, punctuator: Punctuator, numbers: str | None) -> None:
    """Write a model of punctuation to a model directory, and name it in its configuration.

    Args:
        directory: a model directory.
        punctuator: the model of punctuation.
        numbers: a key of `asr.output.writing.NUMBERS`; None: what is there stays.
    """
    punctuator.save(directory / PUNCTUATION)
    config = read_config(directory)
    writing = {**(config.get("writing") or {}), "punctuation": PUNCTUATION}
    if numbers is not None:
        writing["numbers"] = numbers
    write_atomic(directory / CONFIG, dump_config(config | {"writing": writing}))
