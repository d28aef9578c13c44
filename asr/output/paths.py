"""Name and write output files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr.errors import InputError
from asr.utils.atomic import write_atomic
from asr.utils.escape import ESCAPE

# Stands for standard input among the inputs: its stem is its output's, and no file has this name.
STDIN = Path("stdin.-")
MAX_NAMED = 3  # outputs named in a message


def plan_outputs(
    inputs: Sequence[Path | str],
    output_dir: Path,
    formats: str | Sequence[str],
    overwrite: bool = False,
    skip_existing: bool = False,
) -> list[list[Path]]:
    """Return the outputs to write for each input, one for each format, see `output_paths`.

    Args:
        inputs: the inputs' paths, ``-`` for standard input.
        output_dir: folder of the outputs; it need not exist.
        formats: extensions of the outputs.
        overwrite: whether outputs may exist.
        skip_existing: leave out outputs that exist. An input all of whose outputs exist has none to write.

    Raises:
        InputError: ``output_dir`` is a file, outputs exist that may not be overwritten, or both ``overwrite`` and
            ``skip_existing``.
    """
    if overwrite and skip_existing:
        raise InputError("--overwrite replaces outputs that exist, --skip-existing keeps them: use one of them")
    if output_dir.exists() and not output_dir.is_dir():
        raise InputError(f"the output directory {output_dir} is not a folder")
    formats = [formats] if isinstance(formats, str) else formats
    by_format = [output_paths(inputs, output_dir, format) for format in formats]
    outputs = [list(of_input) for of_input in zip(*by_format, strict=True)]
    if skip_existing:
        return [[path for path in of_input if not path.exists()] for of_input in outputs]
    if not overwrite and (existing := [str(path) for of_input in outputs for path in of_input if path.exists()]):
        some = ", ".join(existing[:MAX_NAMED]) + (" …" if len(existing) > MAX_NAMED else "")
        raise InputError(
            f"{len(existing)} outputs exist already: {some} (--overwrite replaces them, --skip-existing keeps them)"
        )
    return outputs


def output_paths(inputs: Sequence[Path | str], output_dir: Path | None, format: str) -> list[Path]:
    """Name one output for each input, in their order; none is that of another input, or an input itself.

    The names depend on which inputs there are, not on their order; a file that is given twice has one output. Nothing
    is created.

    Args:
        inputs: paths; ``-`` (standard input) becomes ``stdin.txt``.
        output_dir: outputs keep the folders below the one that all inputs share; None: outputs are beside the inputs.
        format: extension of the outputs: x.wav becomes x.txt; where that would be the output of x.flac too, x.wav.txt
            and x.flac.txt.
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

    whole: set[Path] = set()  # inputs whose whole name is in that of their output
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
    """Write a text file in UTF-8, and missing folders; a reader sees the former content or the new one.

    Raises:
        InputError: ``path`` is a folder.
        OSError: it cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is not a file, so it cannot be replaced by one")
    write_atomic(path, text.encode("utf-8", errors=ESCAPE))  # a file name that is not UTF-8 may stand in the text
