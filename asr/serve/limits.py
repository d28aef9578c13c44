"""What a server accepts at most."""

from __future__ import annotations

import math
from dataclasses import dataclass

from asr.errors import InputError

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        megabytes: of an upload.
        total_megabytes: of all uploads at a time.
        minutes: of audio in a recording.
        queue: requests at a time; further ones are refused with status 429.
        timeout: seconds from the end of an upload to its answer.
        client_timeout: seconds for which a client may send, or read, nothing.
        listeners: WebSockets at a time.

    Raises:
        InputError: a number that is not above 0.
    """

    megabytes: float = 256.0
    total_megabytes: float = 2048.0
    minutes: float = 240.0
    queue: int = 256
    timeout: float = 3600.0
    client_timeout: float = 30.0
    listeners: int = 8

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:
                raise InputError(f"limit {name}={value}: use a number above 0")
