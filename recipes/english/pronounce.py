"""Pronounce by espeak-ng the words of manifests that a pronouncing dictionary lacks.

    python recipes/english/pronounce.py cmudict.dict MANIFEST... > more.dict

Writes American English in ARPAbet without stress, in the dictionary's format. Needs the extra ``synthetic``.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile

import espeakng_loader

from asr.corpora.synthetic._espeak import short_path
from asr.data import manifest
from asr.text.lexicon import pronounce, read_lexicon

VOICE = b"gmw/en-US"
SYNCHRONOUS, UTF8, IPA, DONT_EXIT = 2, 1, 2, 1 << 15

# espeak-ng 1.52's transcription of American English; longer symbols are matched first
PHONES = {
    "tʃ": "ch", "dʒ": "jh", "aɪ": "ay", "aʊ": "aw", "ɔɪ": "oy", "eɪ": "ey", "oʊ": "ow", "iː": "iy", "uː": "uw",
    "ɑː": "aa", "ɔː": "ao", "oː": "ao", "ɜː": "er", "n̩": "ah n", "l̩": "ah l", "aɪə": "ay ah", "aɪɚ": "ay er",
    "b": "b", "d": "d", "f": "f", "h": "hh", "j": "y", "k": "k", "l": "l", "m": "m", "n": "n", "p": "p", "s": "s",
    "t": "t", "v": "v", "w": "w", "z": "z", "x": "k", "ð": "dh", "ŋ": "ng", "ɡ": "g", "ɹ": "r", "r": "r", "ɾ": "t",
    "ʃ": "sh", "ʒ": "zh", "ʔ": "t", "θ": "th", "ɬ": "l", "a": "aa", "e": "ey", "i": "iy", "o": "ow", "u": "uw",
    "æ": "ae", "ɐ": "ah", "ɑ": "aa", "ɒ": "aa", "ɔ": "ao", "ə": "ah", "ɚ": "er", "ɛ": "eh", "ɜ": "er", "ɪ": "ih",
    "ʊ": "uh", "ʌ": "ah", "ᵻ": "ih",
}  # fmt: skip
IGNORED = "ˈˌːʲ̃ "


class Speller:
    """Pronounces words. The library stays loaded: a process can have one speller only."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        data = short_path(espeakng_loader.get_data_path(), self._folder.name)
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.library.espeak_Initialize(SYNCHRONOUS, 0, os.fsencode(data), DONT_EXIT)
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        if self.library.espeak_SetVoiceByName(VOICE):
            raise SystemExit("espeak-ng's American voice cannot be loaded")

    def __call__(self, word: str) -> list[str]:
        """Return the phones of a word."""
        text = ctypes.c_char_p(word.encode())
        return arpabet(self.library.espeak_TextToPhonemes(ctypes.byref(text), UTF8, IPA).decode())


def arpabet(ipa: str) -> list[str]:
    """Return the phones of a transcription by espeak-ng; phones of other languages are left out."""
    phones: list[str] = []
    at = 0
    while at < len(ipa):
        size = next((n for n in (3, 2, 1) if ipa[at : at + n] in PHONES), 0)
        if size:
            phones += PHONES[ipa[at : at + size]].split()
        elif ipa[at] not in IGNORED:
            print(f"{ipa}: {ipa[at]!r} is left out", file=sys.stderr)
        at += size or 1
    return phones


def main() -> None:
    """Print the pronunciations."""
    lexicon = read_lexicon(sys.argv[1])
    texts = [manifest.text(cut) for path in sys.argv[2:] for cut in manifest.read(path)]
    speller = Speller()
    for word in sorted({word for text in texts for word in pronounce(text, lexicon)[1]}):
        if phones := speller(word):
            print(word, *(phone.upper() for phone in phones))


if __name__ == "__main__":
    main()
