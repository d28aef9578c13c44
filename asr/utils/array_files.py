"""Files of arrays that are mapped into memory: binary n-gram models, compiled dictionaries.

A file is in the format safetensors: the length of a header (8 bytes, little-endian), the header in JSON, with the type,
shape and place of each array, then the arrays. The header's metadata name the format and its version, and hold a
checksum of the arrays.
"""

from __future__ import annotations

import json
import math
import mmap
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import InputError
from asr.utils.atomic import atomic_path
from asr.utils.text_files import first_bytes

MAX_HEADER = 1 << 16
_TYPES = {"U8": np.uint8, "I32": np.int32, "I64": np.int64, "U64": np.uint64, "F32": np.float32}


@dataclass(frozen=True)
class ArrayFormat:
    """What the files of a format hold.

    Attributes:
        name: of the format, in the metadata and in messages.
        version: in the metadata; files of another version are refused.
        arrays: type (of safetensors) and number of dimensions of each array, in the file's order: wide types first, so
            that all are aligned.
    """

    name: str
    version: str
    arrays: Mapping[str, tuple[str, int]]

    def matches(self, path: str | Path) -> bool:
        """Return whether a file is of this format, by its first bytes; it may be compressed."""
        head = first_bytes(path, 8 + 200)
        return head[8:9] == b"{" and f'"{self.name}"'.encode() in head

    def write(self, arrays: Mapping[str, np.ndarray], path: str | Path) -> None:
        """Write arrays to a file."""
        metadata = {"format": self.name, "version": self.version, "crc32": str(self._checksum(arrays))}
        header: dict[str, Any] = {"__metadata__": metadata}
        end = 0
        for name, (dtype, _) in self.arrays.items():
            begin, end = end, end + arrays[name].nbytes
            header[name] = {"dtype": dtype, "shape": arrays[name].shape, "data_offsets": [begin, end]}
        text = json.dumps(header).encode()
        text = text.ljust(-(-len(text) // 8) * 8)
        with atomic_path(Path(path)) as temporary, open(temporary, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in self.arrays:
                file.write(arrays[name].tobytes())

    def read(self, path: str | Path) -> dict[str, np.ndarray]:
        """Read the arrays of a file; they stay in the file, unless that is compressed.

        Raises:
            InputError: the file cannot be read, or is not of this format and version, cut short or damaged.
        """
        try:
            with open(path, "rb") as file:
                # compiled functions want writable arrays: what were written would be the process's own copy
                data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
        if data[8:9] != b"{":  # compressed
            data = bytearray(first_bytes(path, -1))
        try:
            return self._arrays(data, path)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self.damaged(path, f"{type(error).__name__}: {error}") from error

    def damaged(self, path: str | Path, what: str) -> InputError:
        """Return the error of a file that is damaged."""
        return InputError(f"{path}: the {self.name} is damaged: {what}")

    def _arrays(self, data: Any, path: str | Path) -> dict[str, np.ndarray]:
        """Return the arrays of a file's bytes, whose checksum is right."""
        size = int.from_bytes(data[:8], "little")
        if size > MAX_HEADER:
            raise self.damaged(path, f"a header of {size} bytes")
        header = json.loads(bytes(data[8 : 8 + size]))
        metadata: Mapping[str, str] = header["__metadata__"]
        if metadata["format"] != self.name:
            raise self.damaged(path, f"its format is {metadata['format']!r}")
        if metadata["version"] != self.version:
            raise InputError(f"{path}: {self.name} of version {metadata['version']}; this program reads {self.version}")
        end = 8 + size + max(int(header[name]["data_offsets"][1]) for name in self.arrays)
        if len(data) < end:
            raise InputError(f"{path}: the {self.name} is cut short: it has {len(data)} of {end} bytes")
        arrays = {}
        for name, (dtype, dimensions) in self.arrays.items():
            entry = header[name]
            begin, shape = int(entry["data_offsets"][0]), tuple(entry["shape"])
            if entry["dtype"] != dtype or len(shape) != dimensions or begin < 0 or min(shape) < 0:
                raise self.damaged(path, f"{name} has the type {entry['dtype']} and the shape {shape}")
            arrays[name] = np.frombuffer(data, _TYPES[dtype], math.prod(shape), 8 + size + begin).reshape(shape)
        if (found := str(self._checksum(arrays))) != metadata["crc32"]:
            raise self.damaged(path, f"its checksum is {found}, not {metadata['crc32']}")
        return arrays

    def _checksum(self, arrays: Mapping[str, np.ndarray]) -> int:
        """Return the CRC-32 of the arrays, one after another."""
        checksum = 0
        for name in self.arrays:
            checksum = zlib.crc32(arrays[name].data, checksum) if arrays[name].size else checksum
        return checksum


def pack_lines(lines: tuple[str, ...] | list[str]) -> np.ndarray:
    """Return strings without line feeds as UTF-8 (bytes,) uint8, a line each."""
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def unpack_lines(array: np.ndarray) -> tuple[str, ...]:
    """Return the strings that `pack_lines` packed; ValueError if they are not UTF-8."""
    return tuple(array.tobytes().decode().split("\n"))
