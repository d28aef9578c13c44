"""A stand-in for sounddevice, whose microphone plays samples."""

from __future__ import annotations

import os
import signal
import threading
import time
import types
from typing import Any

import numpy as np


class PortAudioError(Exception):
    """As that of sounddevice."""


class FakeSounddevice(types.ModuleType):
    """Stands in for sounddevice: three inputs and an output, of which one plays samples.

    Attributes:
        samples: what the microphone hears, at 16 kHz.
        then: what happens after it: "vanish" (nothing more comes), "finish" (the stream ends), "interrupt" (Ctrl-C),
            "never end" (the first samples again and again, without a pause).
        rates: that inputs accept.
    """

    PortAudioError = PortAudioError

    def __init__(self, samples: np.ndarray, then: str = "interrupt") -> None:
        super().__init__("sounddevice")
        self.samples, self.then = samples, then
        self.rates: tuple[int, ...] = (16000,)
        self.names = ["Speakers", "Built-in Microphone", "USB Microphone", "Line"]
        self.opened: list[int] = []
        self.closed = 0

    def query_devices(self, device: int | None = None, kind: str | None = None) -> Any:
        devices = [
            {"name": name, "index": i, "max_input_channels": int(i > 0), "default_samplerate": 16000.0}
            for i, name in enumerate(self.names)
        ]
        return devices[2] if kind == "input" else devices

    def check_input_settings(self, *, samplerate: int, **options: Any) -> None:
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate")

    def InputStream(self, **options: Any) -> Any:
        fake = self
        if "broken" in self.names[options["device"]]:
            raise PortAudioError("Error opening InputStream:\n Device unavailable [PaErrorCode -9985]")

        class Stream:
            def start(self) -> None:
                fake.opened.append(options["samplerate"])
                threading.Thread(target=self.play, daemon=True).start()

            def play(self) -> None:
                size = options["blocksize"]
                for begin in range(0, len(fake.samples), size):
                    options["callback"](fake.samples[begin : begin + size, None], size, None, None)
                if fake.then == "finish":
                    options["finished_callback"]()
                elif fake.then == "interrupt":
                    time.sleep(0.5)
                    os.kill(os.getpid(), signal.SIGINT)
                while fake.then == "never end" and not fake.closed:
                    options["callback"](fake.samples[:size, None], size, None, None)

            def close(self) -> None:
                fake.closed += 1

        return Stream()
