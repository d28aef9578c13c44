"""Former names of configuration keys."""

from __future__ import annotations

import pytest

from asr.errors import InputError
from asr.utils.aliases import rename_keys


def test_a_former_name_is_read_as_the_present_one() -> None:
    options = {"most_labels": 5, "beam": 20}
    assert list(rename_keys(options, {"most_labels": "max_labels"}).items()) == [("max_labels", 5), ("beam", 20)]


def test_both_names_of_one_option_are_refused() -> None:
    with pytest.raises(InputError, match="most_labels is the former name of max_labels"):
        rename_keys({"most_labels": 5, "max_labels": 6}, {"most_labels": "max_labels"})
