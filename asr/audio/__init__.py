"""Read audio files and streams of any format as mono float32 samples at a model's sample rate."""

from asr.audio.open import INPUT_EXTENSIONS, SAMPLE_RATES
from asr.audio.reader import MAX_AMPLITUDE, AudioInfo, Channel, info, read, stream

__all__ = ["INPUT_EXTENSIONS", "MAX_AMPLITUDE", "SAMPLE_RATES", "AudioInfo", "Channel", "info", "read", "stream"]
