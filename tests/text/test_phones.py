"""Phone sets: their sizes, folding, stress."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import InputError
from asr.text.phones import ARPABET, TIMIT_39, TIMIT_48, TIMIT_61, fold, without_stress


def test_phone_set_sizes() -> None:
    assert [len(phones) for phones in (TIMIT_61, TIMIT_48, TIMIT_39, ARPABET)] == [61, 48, 39, 39]
    assert all(len(set(phones)) == len(phones) for phones in (TIMIT_61, TIMIT_48, TIMIT_39, ARPABET))
    assert set(TIMIT_39) < set(TIMIT_48)
    assert set(fold(TIMIT_61, 48)) == set(TIMIT_48) and set(fold(TIMIT_61, 39)) == set(TIMIT_39)
    assert set(TIMIT_39) - set(ARPABET) == {"dx", "sil"} and set(ARPABET) - set(TIMIT_39) == {"ao", "zh"}


def _list(names: str) -> list[str]:
    return names.split()


def test_lee_and_hon_classes() -> None:
    """The table as papers print it: each line is one of the 39 classes that hold more than their own name."""
    classes = {
        **{
            "aa": "aa ao",
            "ah": "ah ax ax-h",
            "er": "er axr",
            "hh": "hh hv",
            "ih": "ih ix",
            "l": "l el",
            "m": "m em",
        },
        **{"n": "n en nx", "ng": "ng eng", "sh": "sh zh", "uw": "uw ux"},
        "sil": "pcl tcl kcl bcl dcl gcl h# pau epi",
    }
    for name, members in classes.items():
        assert set(fold(members.split())) == {name}
        assert {phone for phone in TIMIT_61 if fold([phone]) == [name]} == set(members.split())
    assert fold(_list("bcl b q pcl p epi h# el en ao zh ix ax"), 48) == (_list("vcl b cl p epi sil el en ao zh ix ax"))


@given(st.lists(st.sampled_from(TIMIT_61)), st.sampled_from([48, 39]))
def test_folding_is_idempotent_and_passes_through_48(phones: list[str], to: int) -> None:
    folded = fold(phones, to)
    assert fold(folded, to) == folded
    assert fold(folded, 39) == fold(phones, 39)
    assert len(folded) == len(phones) - phones.count("q")


def test_folding_unknown_phones_is_an_error() -> None:
    with pytest.raises(InputError, match="'AA', 'xx'"):
        fold(["xx", "AA", "aa"])
    with pytest.raises(InputError, match="61"):
        fold(["aa"], 61)


def test_without_stress() -> None:
    assert without_stress("ah0 b aw1 t k2") == "ah b aw t k"
