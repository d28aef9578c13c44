"""Name and write output files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr.errors import InputError
from asr.utils.atomic import write_atomic

# What stands for standard input among the inputs: its stem is its output's, and no file is called so.
STDIN = Path("stdin.-")


def output_paths(inputs: Sequence[Path | str], output_dir: Path | None, format: str) -> list[Path]:
    """One output per input, in their order, none of which is that of another input or an input itself.

    Without ``output_dir`` they stand beside the inputs; in it they keep the folders below the one that all
    inputs share. x.wav becomes x.txt; where that would be the output of x.flac too, x.wav.txt and x.flac.txt.
    ``-`` (standard input) becomes stdin.txt. The names depend on which inputs there are, not on their order;
    a file that is given twice has one output. Nothing is created.
    """
    given = [STDIN if str(path) == "-" else Path(path) for path in inputs]
    sources = [_absolute(path) for path in given]
    distinct = set(sources)
    parents = [source.parent for source in distinct if source != _absolute(STDIN)]
    common = Path(os.path.commonpath(parents)) if parents else Path()

    def output(source: Path, whole_name: bool) -> Path:
        name = f"{source.name if whole_name else source.stem}.{format}"
        if output_dir is None:
            return source.with_name(name)
        inside = Path() if source == _absolute(STDIN) else source.parent.relative_to(common)
        return Path(output_dir) / inside / name

    whole: set[Path] = set()
    while True:
        outputs = {source: output(source, source in whole) for source in distinct}
        taken = Counter(distinct)
        taken.update(_absolute(path) for path in outputs.values())
        clashing = {source for source in distinct - whole if taken[_absolute(outputs[source])] > 1}
        if not clashing:
            break
        whole |= clashing
    if output_dir is None:
        return [path.with_name(outputs[source].name) for path, source in zip(given, sources, strict=True)]
    return [outputs[source] for source in sources]


def _absolute(path: Path) -> Path:
    # Path.absolute would keep ".."; Path.resolve would follow links, which are outputs of their own.
    return Path(os.path.abspath(path))


def write_text_atomic(path: Path | str, text: str) -> None:
    """Writes UTF-8 text so that the old or the new content is there whole at any moment; makes folders.

    Raises InputError where ``path`` is something other than a file, OSError where it cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is not a file, so it cannot be replaced by one")
    # A file name that is not UTF-8 may stand in the text.
    write_atomic(path, text.encode("utf-8", errors="backslashreplace"))
