"""Numbers of English texts as words."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.text.normalization import TextNormalizer
from asr.text.number_words import cardinal, ordinal, year
from asr.text.numbers import numbers_left, spell_numbers

# fmt: off
SPELLED = {
    # whole numbers, decimals, signs
    "0 7 13 20 42 100 105": "zero seven thirteen twenty forty two one hundred one hundred five",
    "1,234 people": "one thousand two hundred thirty four people",
    "10 000 or 1\u202f000\u202f000": "ten thousand or one million",
    "12,345,678": "twelve million three hundred forty five thousand six hundred seventy eight",
    "3.14 0.5 .5 2.50": "three point one four zero point five point five two point five zero",
    "-3 −7.25 (-5) +5": "minus three minus seven point two five (minus five) plus five",
    "007 0800": "zero zero seven zero eight zero zero",
    "5. 6, 7; 8: 9? (10) \"11\" '12'": "five. six, seven; eight: nine? (ten) \"eleven\" 'twelve'",
    "１９８４ ５０％": "nineteen eighty four fifty percent",
    # ordinals
    "1st 2nd 3rd 4th 5th 8th 9th 12th 20th": "first second third fourth fifth eighth ninth twelfth twentieth",
    "21st-century 100th 1,000th": "twenty first-century one hundredth one thousandth",
    # years and decades
    "1984 1905 1900 1066": "nineteen eighty four nineteen oh five nineteen hundred ten sixty six",
    "2000 2005 2010": "two thousand two thousand five twenty ten",
    "the 1980s, '80s and 1900s": "the nineteen eighties, eighties and nineteen hundreds",
    "mid-1990's": "mid-nineteen nineties",
    "2500 1000": "two thousand five hundred one thousand",
    # dates
    "May 5": "May fifth",
    "Jan. 5-7, 2020": "Jan. fifth to seventh, twenty twenty",
    "on 5 May 1984": "on the fifth of May nineteen eighty four",
    "2020-05-01": "May first, twenty twenty",
    "you may 5": "you may five",
    # times of day
    "5:30 5:05 5:00 17:00": "five thirty five oh five five o'clock seventeen hundred",
    "5pm 5:00 p.m. 10.30 a.m.": "five pm five p.m. ten thirty a.m.",
    "9am-5pm": "nine am to five pm",
    # ranges
    "5-10 5–10 10 – 20": "five to ten five to ten ten to twenty",
    "1914-18 1914–1918": "nineteen fourteen to eighteen nineteen fourteen to nineteen eighteen",
    # percentages, degrees
    "50% 50 % 0.5%": "fifty percent fifty percent zero point five percent",
    "5-10% -2 %": "five to ten percent minus two percent",
    "45° 20 °C": "forty five degrees twenty degrees Celsius",
    # money
    "$5 $1 $1,000": "five dollars one dollar one thousand dollars",
    "$5.50 $0.50 $1.01": "five dollars and fifty cents fifty cents one dollar and one cent",
    "$3 billion £2.5m $10k": "three billion dollars two point five million pounds ten thousand dollars",
    "£5.20 €5 5€": "five pounds and twenty pence five euros five euros",
    "¥100 5¢ US$5": "one hundred yen five cents five US dollars",
    "a $5 bill": "a five dollar bill",
    "-$5 $5-10 $5–$10": "minus five dollars five to ten dollars five to ten dollars",
    # fractions, ratios, operators
    "1/2 3/4 2 1/2 2½ ⅔": "one half three quarters two and a half two and a half two thirds",
    "24/7": "twenty four seven",
    "3:1 16:9": "three to one sixteen to nine",
    "2+2=4 5 × 3 4x4 18+": "two plus two equals four five times three four by four eighteen plus",
    # telephone numbers, beside letters
    "555-1234 (555) 123-4567": "five five five one two three four five five five one two three four five six seven",
    "MP3 H2O 3D 10km COVID-19 20-year-old": "MP three H two O three D ten km COVID-nineteen twenty-year-old",
    "#1 No. 5": "number one number five",
    "5'10\"": "five foot ten",
    # a text in capitals
    "IN 1984 50% LEFT": "IN NINETEEN EIGHTY FOUR FIFTY PERCENT LEFT",
    "in 1984": "in nineteen eighty four",
}
NOT_UNDERSTOOD = ("1:02:03", "192.168.1.1", "1,2,3", "1,00,000", "5/1/2020", "747-400", "a1b2", "1e5", "10²", "10-5-3")
# fmt: on


@pytest.mark.parametrize("text", SPELLED)
def test_numbers_are_read_aloud(text: str) -> None:
    assert spell_numbers(text) == SPELLED[text]


@pytest.mark.parametrize("text", NOT_UNDERSTOOD)
def test_what_is_not_understood_stays_and_is_listed(text: str) -> None:
    assert spell_numbers(f"see {text} there") == f"see {text} there"
    assert numbers_left(f"see {text} there") == [text]


def test_words_of_numbers() -> None:
    assert cardinal(10**6 + 10**3 + 1) == "one million one thousand one"
    assert ordinal(112) == "one hundred twelfth"
    assert ordinal(1_000_030) == "one million thirtieth"
    assert [year(1100), year(2001), year(2099)] == ["eleven hundred", "two thousand one", "twenty ninety nine"]
    assert spell_numbers("1" * 30) == " ".join(["one"] * 30)


@given(st.text(alphabet="0123456789.,:/-–$€% xkmsapth'°½²\"+=aAM\u00a0"))
def test_any_text_has_a_reading_and_words_stay(text: str) -> None:
    spelled = spell_numbers(text)
    if not any(c.isdigit() or c == "½" for c in text):
        assert spelled == text
    assert not numbers_left(spelled) or numbers_left(text)


@pytest.mark.parametrize("part", ["1", "1,234", "1 000 ", "a1", "$", "May ", "1:", "1/2 ", "1-", "x5", "5 x ", "."])
def test_long_texts_take_no_long_time(part: str) -> None:
    start = time.process_time()
    spell_numbers(part * 10_000 + "1")
    assert time.process_time() - start < 5


def test_normalization_spells_numbers_and_names_what_it_does_not_understand(caplog: pytest.LogCaptureFixture) -> None:
    normalizer = TextNormalizer.from_config({"preset": "english", "numbers": "spell"})
    assert normalizer.apply("In 1984, 50 % of “B-52s” cost $1.5m!") == (
        "in nineteen eighty four fifty percent of b fifty twos cost one point five million dollars"
    )
    caplog.set_level(logging.WARNING)
    assert list(normalizer.watch(["1984", "1,2,3 1.2.3", "1,2,3"])) == ["1984", "1,2,3 1.2.3", "1,2,3"]
    assert "numbers that are not understood stay as they are: '1,2,3' (2), '1.2.3' (1)" in caplog.text
    assert TextNormalizer.english().apply("1984") == "1984"
