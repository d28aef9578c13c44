"""Places of decoded samples in time, by the timestamps of a container."""

from __future__ import annotations

# ffmpeg's aresample=async=1 fills a gap, and trims an overlap, of more than that (its option min_hard_comp); timestamps
# of most containers are rounded to a millisecond, and those of live recordings jitter.
JITTER_SECONDS = 0.1
# A longer gap in a container of broadcasts is a new clock, not a pause (ffmpeg's option dts_delta_threshold).
NEW_CLOCK_SECONDS = 10.0
# A longer gap elsewhere is a damaged timestamp.
MAX_GAP_SECONDS = 12 * 3600.0


class Timeline:
    """Tells where silence belongs between decoded frames, and which samples come twice.

    Args:
        rate: samples per second.
        origin: timestamp of the first sample, in seconds.
        resets: the container's clock may start anew, as that of MPEG transport streams and of chained Ogg streams:
            after a backward step, or a long gap, the samples go on without a gap.
        end: timestamp in seconds beyond which timestamps are not believed.

    Attributes:
        rate: samples per second.
        position: number of samples placed; the caller advances it.
    """

    def __init__(self, rate: int, origin: float, *, resets: bool, end: float) -> None:
        self.position = 0
        self.rate = rate
        self._origin = origin
        self._resets = resets
        self._end = end

    def place(self, timestamp: float | None) -> tuple[int, int]:
        """Return the number of samples of silence before a frame, and the number to drop from its beginning.

        Args:
            timestamp: of the frame, in seconds; None: it follows the one before it.
        """
        if timestamp is None:
            return 0, 0
        delta = round((timestamp - self._origin) * self.rate) - self.position
        seconds = delta / self.rate
        if abs(seconds) <= JITTER_SECONDS:
            return 0, 0
        if self._resets and (seconds < 0 or seconds > NEW_CLOCK_SECONDS):
            self._origin += seconds
            return 0, 0
        if seconds < 0:
            return 0, -delta
        if seconds > MAX_GAP_SECONDS or timestamp > self._end:
            self._origin += seconds
            return 0, 0
        return delta, 0
