"""Make noises of voices from training speech: several voices at once, and reversed voices.

    python recipes/english/babble.py MANIFEST FOLDER [--several 300] [--reversed 150]

Writes FOLDER/several_NNN.flac (3 to 8 utterances of different levels added up) and FOLDER/reversed_NNN.flac, 12 s each
at 16 kHz. As `perturbation.noise` of robust.yaml they are background speech; with `nonspeech_probability` the network
learns to write nothing where no one can be understood.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile

from asr import audio
from asr.data import manifest

RATE, SECONDS, SEED = 16000, 12.0, 1


def main() -> None:
    """Write the noises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", metavar="MANIFEST", help="training speech (combine.py)")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where the noises are written")
    parser.add_argument("--several", type=int, default=300, help="noises of several voices")
    parser.add_argument("--reversed", type=int, default=150, help="noises of a reversed voice")
    options = parser.parse_args()
    cuts = manifest.read(options.manifest)
    rng = np.random.default_rng(SEED)
    length = round(SECONDS * RATE)

    def voice() -> np.ndarray:
        cut = cuts[rng.integers(len(cuts))]
        samples = audio.read(manifest.audio_path(cut), RATE, start=cut.start, duration=cut.duration)
        level = np.sqrt(np.mean(np.square(samples))) + 1e-6
        return np.roll(np.resize(samples / level, length), rng.integers(length))

    def write(name: str, samples: np.ndarray) -> None:
        soundfile.write(options.folder / f"{name}.flac", 0.5 * samples / np.abs(samples).max(), RATE)

    options.folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.several):
        voices = [voice() * 10 ** (rng.uniform(-8, 0) / 20) for _ in range(rng.integers(3, 9))]
        write(f"several_{number:03}", np.sum(voices, axis=0))
    for number in range(options.reversed):
        write(f"reversed_{number:03}", voice()[::-1])


if __name__ == "__main__":
    main()
