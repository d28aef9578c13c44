"""Read speech without transcripts: folders of audio files, long ones in parts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from asr import audio
from asr.data.manifest import make_cut
from asr.errors import InputError
from asr.utils.folders import list_files

if TYPE_CHECKING:
    from lhotse import MonoCut

MAX_SECONDS = 20.0  # of an utterance: longer ones would fill batches of their own


def read(folders: Iterable[str | Path]) -> list[MonoCut]:
    """Make utterances without text of all audio files below folders, in equal parts of up to `MAX_SECONDS`.

    Raises:
        InputError: a folder that does not exist or has no audio files, or a file that is no audio.
    """
    cuts = []
    for folder in map(Path, folders):
        files = list_files(folder, audio.INPUT_EXTENSIONS) if folder.is_dir() else []
        if not files:
            raise InputError(f"data.untranscribed: {folder}: not a folder with audio files")
        for file in files:
            info = audio.info(file, strict=True)
            parts = math.ceil(info.duration / MAX_SECONDS)
            length = info.duration / parts
            for part in range(parts):
                cut = make_cut(f"{file}-{part}", file, "", start=part * length, duration=length, info=info)
                cut.supervisions[0].text = None
                cuts.append(cut)
    return cuts
