"""Spread a learning-rate schedule over a given time."""

from __future__ import annotations

import time


class Pace:
    """Progress of a training that has to end within a given time.

    At the beginning of each epoch the number of epochs that still fit is estimated from the duration of the last one,
    and the rest of the schedule is spread over them evenly. So the learning rate has come down when the time is up,
    however busy the machine was. Unlike everything else in training, this depends on the clock.

    Args:
        seconds: time that the training may take.

    Attributes:
        is_last: whether no other epoch fits after the current one.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_last = False
        self._deadline: float | None = None
        self._epoch_began = 0.0
        self._first = self._end = 0.0  # shares of the training done at the beginning and the end of the current epoch

    def begin_epoch(self, max_epochs: int, done: float = 0.0) -> None:
        """Plan an epoch.

        Args:
            max_epochs: number of epochs that may follow, this one included.
            done: share of the training that is done; read at the first call only, for one that is resumed.
        """
        now = time.monotonic()
        epochs = max_epochs
        if self._deadline is None:
            self._deadline, self._end = now + self.seconds, done
        else:
            last = now - self._epoch_began  # 0 where the clock is coarser than an epoch is long
            epochs = min(max_epochs, int((self._deadline - now) / last)) if last > 0 else max_epochs
        self._epoch_began = now
        self.is_last = epochs <= 1
        self._first, self._end = self._end, self._end + (1 - self._end) / max(epochs, 1)

    def seconds_left(self) -> float:
        """Return the seconds until the training has to end; 0 in its last epoch."""
        return 0.0 if self.is_last or self._deadline is None else max(self._deadline - time.monotonic(), 0.0)

    def position(self, share: float) -> float:
        """Return the share of the training, 0 to 1, that is done when this share of the current epoch is."""
        return self._first + share * (self._end - self._first)
