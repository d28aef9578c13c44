"""Standard input, output and error: closed, full, of any encoding, or read by a program that stops reading."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any

from asr.errors import InputError
from asr.utils.escape import ESCAPE, json_for

OUTPUT = "standard output"
ASCII = "asr_ascii"  # click would print UTF-8 to a stream whose encoding is "ascii"
BROKEN_PIPE_STATUS = 141  # 128 + SIGPIPE, as a shell reports it


class _Output(io.RawIOBase):
    """Writes to a file descriptor; errors name the stream, and nothing is written after one.

    Args:
        descriptor: the file descriptor, which stays open.
        name: of the stream, for errors; "" for a stream whose errors are ignored.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self.descriptor = descriptor
        self.stream = name
        self.failed = False

    def write(self, data: Any) -> int:
        if self.failed:
            return len(data)  # what Python flushes when it ends
        try:
            return os.write(self.descriptor, data)
        except OSError as error:
            self.failed = True
            if not self.stream:
                return len(data)
            raise OSError(error.errno, error.strerror, self.stream) from error

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)


class _ClosedOutput(io.TextIOBase):
    """Standard output that was closed when the program started (``>&-``)."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise InputError(f"{OUTPUT} is closed")

    def flush(self) -> None:
        pass

    @property
    def buffer(self) -> Any:
        raise InputError(f"{OUTPUT} is closed")


class _ClosedInput(io.TextIOBase):
    """Standard input that was closed when the program started (``<&-``)."""

    def read(self, size: int | None = -1) -> str:
        raise InputError("standard input is closed")

    @property
    def buffer(self) -> Any:
        raise InputError("standard input is closed")


def _find_ascii(name: str) -> codecs.CodecInfo | None:
    """Provide ASCII under the name `ASCII`."""
    if name != ASCII:
        return None
    ascii_ = codecs.lookup("ascii")
    return codecs.CodecInfo(ascii_.encode, ascii_.decode, name=ASCII, incrementalencoder=ascii_.incrementalencoder)


codecs.register(_find_ascii)


def prepare_streams() -> None:
    """Make the standard streams safe to use; streams that a caller of `asr.cli.main` has replaced stay as they are.

    Characters that the encoding of a stream does not have are escaped. An error in writing names the stream; errors of
    standard error are ignored. The numbers of closed streams are taken, so that no file that is opened later gets them
    and what a library prints.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Python gives new descriptors the lowest free number, which is this one
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = _ClosedInput()
    if sys.stdout is None:
        sys.stdout = _ClosedOutput()
    elif sys.stdout is sys.__stdout__:
        sys.stdout = _rewrapped(sys.stdout, OUTPUT)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    elif sys.stderr is sys.__stderr__:
        sys.stderr = _rewrapped(sys.stderr, "")


def _rewrapped(stream: Any, name: str) -> Any:
    """Return a stream to the same file descriptor over `_Output`."""
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (OSError, ValueError):  # a console of another kind, such as that of an editor
        return stream
    raw = _Output(descriptor, name)
    buffer = io.BufferedWriter(raw)
    encoding = ASCII if codecs.lookup(stream.encoding).name == "ascii" else stream.encoding
    line_buffering = stream.line_buffering or not name  # messages appear at once
    return io.TextIOWrapper(buffer, encoding, ESCAPE, line_buffering=line_buffering, write_through=stream.write_through)


def print_json(text: str, end: str = "\n") -> None:
    """Print JSON; characters that the encoding of standard output does not have are escaped as JSON has it."""
    print(json_for(text, getattr(sys.stdout, "encoding", None)), end=end)
