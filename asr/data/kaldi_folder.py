"""Data folders of Kaldi: ``wav.scp``, ``text``, and if there are any ``segments`` and ``utt2spk``.

Commands in ``wav.scp`` are never executed. Those that only decode a file, such as ``flac -c -d -s FILE |``, stand for
the file: asr reads it itself.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asr.data.manifest_files import ManifestRow
from asr.errors import InputError
from asr.utils.text_files import read_lines

_ARCHIVE = re.compile(r".*\.ark:\d+(\[.*\])?")
_SHELL = re.compile(r"[|&;<>`$(){}*?\[\]#~]")  # what a shell would act on
ACCEPTED = "flac -c -d FILE, sox FILE -t wav -, ffmpeg -i FILE -f wav -, sph2pipe -f wav FILE, cat FILE"
PARENTS = 2  # folders above the data folder, from which recipes name their audio files


@dataclass(frozen=True)
class _Program:
    """Options of a program with which it does nothing but decode a file.

    Attributes:
        flags: options without a value.
        valued: options with a value.
        output: names of standard output, of which the last argument must be one; (): it has no such argument.
        effects: what may follow: names of effects that change the sample rate or mix channels.
    """

    flags: str
    valued: frozenset[str] = frozenset()
    output: tuple[str, ...] = ()
    effects: frozenset[str] = frozenset()


_PROGRAMS = {
    "cat": _Program(r"(?!)"),
    "flac": _Program(r"-[cdsF]+|--(decode|stdout|silent|totally-silent)"),
    "sph2pipe": _Program(r"-p", frozenset({"-f"})),
    "sox": _Program(
        *(r"-[qGRDS]|-V\d?|--no-dither", frozenset({"-t", "-r", "-b", "-e", "-c"}), ("-",)),
        frozenset({"rate", "dither", "channels"}),
    ),
    "ffmpeg": _Program(
        r"-(nostdin|hide_banner|nostats|y|vn|sn|dn)",
        frozenset(
            {"-v", "-loglevel", "-f", "-ar", "-ac", "-acodec", "-c:a", "-codec:a", "-sample_fmt", "-threads", "-i"}
        ),
        ("-", "pipe:1", "pipe:", "/dev/stdout"),
    ),
}


def is_kaldi_folder(folder: Path) -> bool:
    """Return whether a folder has a ``wav.scp``."""
    return (folder / "wav.scp").is_file()


def kaldi_rows(folder: Path) -> list[ManifestRow | InputError]:
    """List the utterances of a data folder, with an InputError for each that cannot be used.

    Audio files are looked for from the data folder, from the two folders above it, and from the working directory.

    Raises:
        InputError: ``wav.scp`` or ``text`` cannot be read.
    """
    if not (folder / "text").is_file():
        raise InputError(f"{folder}: has a wav.scp, but no file 'text' with an id and its text on each line")
    recordings = {id: _audio_file(value, where, folder) for id, value, where in _lines(folder / "wav.scp")}
    texts = {id: (" ".join(text.split()), where) for id, text, where in _lines(folder / "text")}
    has_speakers = (folder / "utt2spk").is_file()
    speakers = {id: name for id, name, _ in _lines(folder / "utt2spk")} if has_speakers else {}
    has_segments = (folder / "segments").is_file()
    lines = list(_lines(folder / ("segments" if has_segments else "wav.scp")))
    rows: list[ManifestRow | InputError] = []
    for id, value, where in lines:
        part = _part(value, where) if has_segments else (id, 0.0, None)
        if isinstance(part, InputError):
            rows.append(part)
            continue
        recording, start, duration = part
        audio = recordings.get(recording)
        if audio is None:
            rows.append(InputError(f"{where}: the recording {recording} is not in {folder / 'wav.scp'}"))
        elif isinstance(audio, InputError):
            rows.append(audio)
        elif id not in texts:
            rows.append(InputError(f"{where}: {id} is not in {folder / 'text'}"))
        else:
            rows.append(ManifestRow(id, audio, texts[id][0], speakers.get(id, ""), start, duration, where))
    known = {id for id, _, _ in lines}
    file = "segments" if has_segments else "wav.scp"
    rows += [
        InputError(f"{where}: {id} is not in {folder / file}") for id, (_, where) in texts.items() if id not in known
    ]
    return rows


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the id, the rest, and file and line of each line that is not blank. Raises InputError for an id twice."""
    seen: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        id, *rest = line.split(maxsplit=1)
        if id in seen:
            raise InputError(f"{path}, line {number}: {id} stands on line {seen[id]} too")
        seen[id] = number
        yield id, " ".join(rest).strip(), f"{path}, line {number}"


def _part(value: str, where: str) -> tuple[str, float, float | None] | InputError:
    """Return recording, start and duration of a line of ``segments``; the end -1 is that of the recording."""
    recording, *times = value.split()[:3] or [""]
    try:
        start, end = map(float, times)
    except ValueError:
        start = end = math.nan
    if not (math.isfinite(start) and math.isfinite(end)):
        return InputError(f"{where}: {value[:60]!r} is not: recording start end")
    if end == -1:
        return recording, start, None
    if not 0 <= start < end:
        return InputError(f"{where}: the segment {start:g}–{end:g} s ends before it begins, or begins before 0")
    return recording, start, round(end - start, ndigits=8)


def _audio_file(value: str, where: str, folder: Path) -> str | InputError:
    """Return the path of the audio file of a line of ``wav.scp``."""
    name: str | None = value
    if value.endswith("|") or value.startswith("|"):
        name = file_of_command(value.strip("|"))
        if name is None:
            return InputError(
                f"{where}: commands are not executed: {value!r}; write its output to a file and name that (taken for "
                f"their FILE are {ACCEPTED})"
            )
    if not name:
        return InputError(f"{where}: no audio file")
    if _ARCHIVE.fullmatch(name):
        return InputError(f"{where}: {name} is in an archive of Kaldi; extract it to a file (wav-copy) and name that")
    places = [folder, *list(folder.absolute().parents)[:PARENTS], Path.cwd()]
    return next((str(place / name) for place in places if (place / name).is_file()), name)


def file_of_command(command: str) -> str | None:
    """Return the file that a command decodes to standard output, or None for one that does anything else."""
    try:
        program, *arguments = [] if _SHELL.search(command) else shlex.split(command)
    except ValueError:
        return None
    known = _PROGRAMS.get(Path(program).name)
    if known is None:
        return None
    files: list[str] = []
    plain: list[str] = []
    while arguments:
        argument = arguments.pop(0)
        if argument in known.valued and arguments:
            value = arguments.pop(0)
            if argument == "-i":
                files.append(value)
        elif argument != "-" and argument.startswith("-"):
            if re.fullmatch(known.flags, argument) is None:
                return None
        else:
            plain.append(argument)
            if argument in known.output and known.effects:  # what follows are effects
                break
    if arguments and (arguments[0] not in known.effects or len(arguments) > 3):
        return None
    if known.output and (not plain or plain.pop() not in known.output):
        return None
    files += plain
    return files[0] if len(files) == 1 and files[0] != "-" else None
