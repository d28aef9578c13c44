"""Decoder options of a model directory, and the language models and dictionaries they name."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.decoding.ctc.options import OPTION_ALIASES
from asr.models.directory import CONFIG, dump_config, find, read_config
from asr.utils.aliases import rename_keys
from asr.utils.atomic import atomic_path, write_atomic

# what a decoder's options may name, and what these files, or the directory of a model, are called in a model directory
# (.gz stays)
DECODER_FILES = {
    "lm": "lm.arpa",
    "character_lm": "character_lm.arpa",
    "lexicon": "lexicon.txt",
    "pronouncer": "pronouncer",
    "neural_lm": "neural_lm",
}

MODELS = ("pronouncer", "neural_lm")  # of those, what is a model directory


def copy_decoder_files(decoder: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Copy the models and dictionaries that a decoder's options name; the options with the copies' names."""
    options = dict(decoder)
    for key, name in DECODER_FILES.items():
        if options.get(key) is not None:
            source = find(options[key]) if key in MODELS else Path(options[key])
            options[key] = name + (".gz" if source.suffix == ".gz" else "")
            target = directory / options[key]
            if target.exists() and target.samefile(source):
                continue
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                with atomic_path(target) as temporary:
                    shutil.copyfile(source, temporary)
    return options


def set_decoder(directory: Path, decoder: Mapping[str, Any]) -> None:
    """Make ``decoder`` how a model directory's model is decoded; the files that it names are copied."""
    config = read_config(directory) | {"decoder": copy_decoder_files(decoder, directory)}
    write_atomic(directory / CONFIG, dump_config(config))


def decoder_config(
    directory: Path, given: Mapping[str, Any] | None = None, head: str | None = None
) -> tuple[str, dict[str, Any]]:
    """How to decode: which head, and the options of `asr.inference.decoders.factory.make_decoder`.

    Those are the model's own, if ``head`` is the one (or None) that they were made for, and over them those that are
    ``given``. With ``type`` among these the model's own do not count.
    """
    config = read_config(directory)
    given = rename_keys(given or {}, OPTION_ALIASES)
    own = rename_keys(config.get("decoder") or {}, OPTION_ALIASES)
    own_head = own.pop("head", None) or next(iter(config["task"]["heads"]))
    head = own_head if head is None else head
    if "type" in given or head != own_head or own.get("type") == "greedy":
        own = {}
    own |= {key: str(directory / own[key]) for key in DECODER_FILES if own.get(key) is not None}
    return head, {"type": "beam" if given else "greedy"} | own | given
