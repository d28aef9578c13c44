"""One's own recordings: a folder of audio beside ``.txt`` files, or a manifest of any known format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr.data import manifest

if TYPE_CHECKING:
    from lhotse import MonoCut


def prepare(root: Path) -> dict[str, list[MonoCut]]:
    """Return one split, ``all``, of a folder or manifest for `asr.data.manifest.read`, which raises InputError."""
    return {"all": manifest.read(root)}
