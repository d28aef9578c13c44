"""Mix channels to one without letting those of opposite polarity cancel each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from asr.audio.backend import BLOCK_VALUES, AudioDecoder, log_once

# Correlation with the first loud channel below which a channel counts as inverted. Channels of different microphones or
# speakers are above it; a plug wired the wrong way round, or "vocal" stereo of one microphone, gives -1.
OPPOSITE_CORRELATION = -0.8
# Share of the greatest energy from which on a channel may be the one that others are compared with: the first of these,
# so that of channels that are almost equally loud it is the same in all windows.
LOUD_SHARE = 0.1
WINDOW_SECONDS = 2.0


def mixed_blocks(decoder: AudioDecoder, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
    """Decode the mean of the channels.

    Polarity is measured in windows whose limits do not depend on the part that is read.

    Args:
        decoder: of at least two channels.
        first: number of the first sample.
        last: number of the sample after the last one.

    Yields:
        Pairs of a position and float32 samples ``(n,)`` from there on, which cover ``first`` to ``last`` or more.
    """
    size = max(1, min(round(WINDOW_SECONDS * decoder.sample_rate), BLOCK_VALUES // decoder.channels))
    waiting: list[np.ndarray] = []
    begin, filled = first // size * size, 0  # of the window; samples of it that are waiting
    for position, block in decoder.blocks(begin, -(-last // size) * size):
        block = block[max(0, begin + filled - position) :]
        while filled + len(block) >= size:
            head, block = block[: size - filled], block[size - filled :]
            yield begin, mix(np.concatenate([*waiting, head]), decoder.name)
            waiting, filled, begin = [], 0, begin + size
        if len(block):
            waiting.append(block)
            filled += len(block)
    if waiting:
        yield begin, mix(np.concatenate(waiting), decoder.name)


def mix(samples: np.ndarray, name: str) -> np.ndarray:
    """Return the mean of channels, after those of opposite polarity were inverted.

    Args:
        samples: ``(n, channels)`` float32.
        name: of the file, for a message.

    Returns:
        ``(n,)`` float32.
    """
    signs = polarities(samples)
    if (signs < 0).any():
        inverted = ", ".join(str(channel + 1) for channel in np.flatnonzero(signs < 0))
        log_once("polarity", f"{name}: channel {inverted} has opposite polarity, and is inverted before mixing")
        samples = samples * signs
    mean: np.ndarray = samples.mean(axis=1, dtype=np.float32)
    return mean


def polarities(samples: np.ndarray) -> np.ndarray:
    """Return -1 for each channel that is the inverse of the first loud one, 1 for the others.

    Args:
        samples: ``(n, channels)`` float32.

    Returns:
        ``(channels,)`` float32.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        centered = samples - samples.mean(axis=0, dtype=np.float32)
        products = centered.T @ centered  # (channels, channels)
        energy = np.diagonal(products)
        reference = int(np.argmax(energy >= LOUD_SHARE * energy.max()))
        limit = OPPOSITE_CORRELATION * np.sqrt(energy) * np.sqrt(energy[reference])
        signs: np.ndarray = np.where(products[reference] < limit, -1, 1).astype(np.float32)
    return signs
