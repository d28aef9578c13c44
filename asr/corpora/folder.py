"""One's own recordings: a folder of audio with side-by-side ``.txt``, or a manifest of any known kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr.data import manifest

if TYPE_CHECKING:
    from lhotse import MonoCut


def prepare(root: Path) -> dict[str, list[MonoCut]]:
    """One split, ``all``; see :func:`asr.data.manifest.read` for what ``root`` may be and what is refused."""
    return {"all": manifest.read(root)}
