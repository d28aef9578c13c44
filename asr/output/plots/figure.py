"""What all pictures share: the figure, its file, and the optional packages that draw it."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from asr.errors import InputError
from asr.utils.atomic import write_atomic

FORMATS = (".png", ".svg", ".pdf")
DPI = 80
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "svg.hashsalt": "asr",  # the same picture is the same file
}


def check_picture(path: str | Path) -> None:
    """Check that a picture can be drawn, before the work for it is done.

    Raises:
        InputError: the file's name does not end in one of `FORMATS`, or matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise InputError(f"{path}: the name of a picture ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if missing := [name for name in ("matplotlib", "librosa") if importlib.util.find_spec(name) is None]:
        raise InputError(f"pictures need {' and '.join(missing)}: pip install 'asr-recurrent[plot]'")


@contextmanager
def picture(path: str | Path, width: float, height: float) -> Iterator[Any]:
    """Yield a matplotlib ``Figure`` of a size in inches, and write it to a file, whose extension is the format.

    Raises:
        InputError: as `check_picture`.
        OSError: the file cannot be written.
    """
    check_picture(path)
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        kind = Path(path).suffix[1:].lower()
        content = io.BytesIO()
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        figure.savefig(content, format=kind, dpi=DPI, metadata=metadata)
    if kind == "png":  # in 256 colors a third as large, and to the eye the same
        with Image.open(content) as image:
            content = io.BytesIO()
            image.convert("RGB").quantize(256).save(content, format="png", optimize=True)
    write_atomic(Path(path), content.getvalue())
