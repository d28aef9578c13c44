"""Audio files, streams and waveforms: any format to mono float32 samples at the rate a model reads."""

from asr.audio.open import INPUT_EXTENSIONS
from asr.audio.reader import AudioInfo, info, read, stream

__all__ = ["INPUT_EXTENSIONS", "AudioInfo", "info", "read", "stream"]
