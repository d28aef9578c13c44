"""Draw the spectrogram of a recording and the words that a model recognizes in it.

python docs/transcript.py recipes/english/clips/commission.opus docs/transcript.png [MODEL]
"""

from __future__ import annotations

import sys

import asr
from asr import audio
from asr.models import pretrained
from asr.output.plots import plot_transcript

RATE = 16_000


def main() -> None:
    """Draw the picture that the command line names."""
    recording, picture, *model = sys.argv[1:]
    waveform = audio.read(recording, RATE)
    transcript = asr.load(*model or [pretrained.DEFAULT]).transcribe(waveform, RATE)
    plot_transcript(picture, waveform, RATE, transcript)


if __name__ == "__main__":
    main()
