"""Phone sets and their folding: TIMIT's 61 labels to 48 to 39, and the CMU dictionary's 39 without stress.

The tables are those of Lee & Hon 1989, "Speaker-independent phone recognition using hidden Markov models", in the
assignment of Kaldi's phones.60-48-39.map: of the 61 labels q is dropped, the other 60 become 48, and those 39.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from asr.errors import InputError
from asr.utils.options import check_choice


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TIMIT_61 = _names(
    "aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh hv ih ix iy "
    "jh k kcl l m n ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z zh"
)
DROPPED = "q"
# only the phones that change their names
_61_TO_48 = {
    **{"ax-h": "ax", "axr": "er", "em": "m", "nx": "n", "eng": "ng", "hv": "hh", "ux": "uw"},
    **dict.fromkeys(("bcl", "dcl", "gcl"), "vcl"),
    **dict.fromkeys(("pcl", "tcl", "kcl"), "cl"),
    **dict.fromkeys(("h#", "pau"), "sil"),
}
_48_TO_39 = {
    **{"ao": "aa", "ax": "ah", "el": "l", "en": "n", "ix": "ih", "zh": "sh"},
    **dict.fromkeys(("cl", "vcl", "epi"), "sil"),
}
TIMIT_48 = tuple(sorted({_61_TO_48.get(phone, phone) for phone in TIMIT_61 if phone != DROPPED}))
TIMIT_39 = tuple(sorted({_48_TO_39.get(phone, phone) for phone in TIMIT_48}))
# in lower case, as TIMIT writes its phones; there is no silence in it
ARPABET = _names("aa ae ah ao aw ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh")
# all of these, neighbors in sound next to each other: vowels, glides and liquids, nasals, fricatives, stops, silence
BY_MANNER = _names(
    "iy ih ix ey eh ae aa ao ow uh uw ux ah ax ax-h er axr ay aw oy y w l el r m em n en nx ng eng "
    "s z sh zh f v th dh hh hv ch jh p b t d dx k g q pcl bcl tcl dcl kcl gcl cl vcl epi pau h# sil"
)
PHONE_SETS = {"timit61": TIMIT_61, "timit48": TIMIT_48, "timit39": TIMIT_39, "arpabet": ARPABET}
_FOLDABLE = frozenset(TIMIT_61) | frozenset(TIMIT_48)


def fold(phones: Iterable[str], to: int = 39) -> list[str]:
    """Fold TIMIT phones of the 61, 48 or 39 set, or CMU phones without stress, to the set of 48 or 39.

    ``q`` is dropped. Neighbors that become equal (a closure beside a pause: ``sil sil``) are not merged, as in Kaldi's
    scoring.

    Raises:
        InputError: a phone that the tables do not have, or ``to`` is neither 48 nor 39.
    """
    check_choice("fold", to, (48, 39))
    phones = [phone for phone in phones if phone != DROPPED]
    if unknown := sorted(set(phones) - _FOLDABLE):
        raise InputError(f"phones that the TIMIT folding tables do not have: {', '.join(map(repr, unknown))}")
    coarse = [_61_TO_48.get(phone, phone) for phone in phones]
    return coarse if to == 48 else [_48_TO_39.get(phone, phone) for phone in coarse]


def without_stress(phones: str) -> str:
    """Remove the stress digits of the CMU dictionary's vowels from phones separated by spaces."""
    return re.sub(r"[012](?= |$)", "", phones)
