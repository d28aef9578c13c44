"""Segments of TextGrid, ELAN and subtitle files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from asr.data import segments
from asr.data.timed_text import TimedText
from asr.errors import InputError

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "anna"
        xmin = 0
        xmax = 2.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "say ""open 3 doors"" <now>
in two lines"
        intervals [3]:
            xmin = 1.25
            xmax = 2.5
            text = " "
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 1.5
            mark = "click"
"""

SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2.5
<exists>
2
"IntervalTier"
"bea"
0
2.5
2
0
1
"yes"
1
2.5
"no"
"IntervalTier"
"anna"
0
2.5
1
0.5
1.5
"hm"
"""


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_text(content, encoding=encoding)
    return path


def times(found: Sequence[TimedText | InputError]) -> list[tuple]:
    return [(s.start, s.end, s.text, s.speaker) for s in found if isinstance(s, TimedText)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_textgrid(tmp_path: Path, encoding: str) -> None:
    found = segments.read(write(tmp_path / "a.TextGrid", LONG, encoding))
    assert times(found) == [(0.5, 1.25, 'say "open 3 doors" <now> in two lines', "")]
    assert isinstance(found[0], TimedText) and LONG.split("\n")[found[0].line - 1].strip() == "xmax = 1.25"


def test_tiers_are_speakers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.TextGrid", SHORT)
    assert times(segments.read(path)) == [(0, 1, "yes", "bea"), (0.5, 1.5, "hm", "anna"), (1, 2.5, "no", "bea")]
    assert times(segments.read(path, "anna")) == [(0.5, 1.5, "hm", "")]
    with pytest.raises(InputError, match="no tier 'carl' \\(there are 'bea', 'anna'\\)"):
        segments.read(path, "carl")


@pytest.mark.parametrize("names", [("words", "phones"), ("anna - words", "anna - phones"), ("Word", "MAU")])
def test_tiers_of_words_and_phones_are_not_utterances(tmp_path: Path, names: tuple[str, str]) -> None:
    path = write(tmp_path / "a.TextGrid", SHORT.replace("bea", names[1]))
    assert times(segments.read(path)) == [(0.5, 1.5, "hm", "")]
    write(path, SHORT.replace("bea", names[1]).replace('"anna"', f'"{names[0]}"'))
    with pytest.raises(InputError, match=r"which of the tiers .* has utterances"):
        segments.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LONG[:300], r"a\.TextGrid, line \d+: the TextGrid is cut short"),
        (LONG.replace("xmax = 1.25", "xmax = soon", 1), r"line \d+: a number is expected, not "),
        (LONG.replace("size = 3", "size = 1e999"), r"line \d+: a number is expected, not '1e999'"),
        ("hello", "not a TextGrid in a text format"),
        ("ooBinaryFile\x08TextGrid", "not a TextGrid in a text format"),
    ],
)
def test_damaged_textgrids(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        segments.read(write(tmp_path / "a.TextGrid", content))


EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" FORMAT="3.0" VERSION="3.0">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1250"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="utt" TIER_ID="utt@A" PARTICIPANT="anna">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>say &amp; open é</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="tr" PARENT_REF="utt@A" TIER_ID="translation">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a2" ANNOTATION_REF="a1">
      <ANNOTATION_VALUE>other</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="utt" TIER_ID="empty"/>
</ANNOTATION_DOCUMENT>
"""


def test_elan(tmp_path: Path) -> None:
    assert times(segments.read(write(tmp_path / "a.eaf", EAF))) == [(0.5, 1.25, "say & open é", "anna")]
    for content, message in (
        (EAF[:600], "not an ELAN file"),
        ("<html/>", "not an ELAN file: it begins with html"),
        (EAF.replace("1250", "²"), "has no times"),
        (EAF.replace(' TIME_VALUE="1250"', ""), "the annotation 'say & open é' of tier 'utt@A' has no times"),
    ):
        with pytest.raises(InputError, match=message):
            segments.read(write(tmp_path / "a.eaf", content))


SRT = """1
00:00:00,500 --> 00:00:01,250
<i>Open</i> the
{\\an8}door &amp; go

2
00:01:02,000 --> 01:00:03,000

3
00:00:02,000 --> 00:00:03,000
2
4
00:00:04,000 --> 00:00:05,000
no blank line before
"""

VTT = """WEBVTT - a title

NOTE a note

STYLE
::cue { color: red }

intro
00:00.500 --> 00:01.250 align:start position:0%
<v Anna Smith>Open <c.loud>the</c> door</v>
"""


def test_subtitles(tmp_path: Path) -> None:
    for encoding, newline in (("utf-8", "\n"), ("utf-8-sig", "\r\n")):
        content = SRT.replace("\n", newline)
        (tmp_path / "a.srt").write_bytes(content.encode(encoding))
        assert times(segments.read(tmp_path / "a.srt")) == [
            (0.5, 1.25, "Open the door & go", ""),
            (2.0, 3.0, "2", ""),
            (4.0, 5.0, "no blank line before", ""),
        ]
    assert times(segments.read(write(tmp_path / "a.vtt", VTT))) == [(0.5, 1.25, "Open the door", "Anna Smith")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no subtitle with times"),
        ("1\n00:00:00,5 -> 1\nx\n", "no subtitle"),
        ("1\nsoon --> later\nx\n", "line 2: "),
    ],
)
def test_damaged_subtitles(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        segments.read(write(tmp_path / "a.srt", content))


def test_comments_of_textgrids(tmp_path: Path) -> None:
    lines = [
        '"ooTextFile"',
        '"TextGrid" ! of 5',
        "0 2 ! seconds 7",
        "<exists>",
        "! 9",
        '1 "IntervalTier" "a" 0 2 1 0 1 "no! 3"',
    ]
    (tmp_path / "a.TextGrid").write_text("\n".join(lines))
    (found,) = segments.read(tmp_path / "a.TextGrid")
    assert isinstance(found, TimedText) and (found.text, found.line) == ("no! 3", 6)
    (tmp_path / "a.TextGrid").write_text("\n".join(lines).replace("! of 5", "5"))
    with pytest.raises(InputError, match=r"a\.TextGrid, line 3: <exists> is expected"):
        segments.read(tmp_path / "a.TextGrid")


def test_blank_lines_within_a_subtitle(tmp_path: Path) -> None:
    cue = "00:00:0{} --> 00:00:0{}".format
    (tmp_path / "a.srt").write_text(
        f"1\n{cue(1, 2)}\none\n\ntwo\n \n2\n{cue(2, 3)}\n\nthree\n\n7\n\n3\n{cue(3, 4)}\n42\n\n"
    )
    assert [text for _, _, text, _ in times(segments.read(tmp_path / "a.srt"))] == ["one two", "three 7", "42"]
    notes = f"NOTE {cue(7, 8)}\nold\n\nSTYLE\na --> b\n\nREGION\nid:x\n\n"
    vtt = f"WEBVTT\n\n{notes}first\n{cue(1, 2)}\n \none\ntwo\n \nsecond\n{cue(2, 3)}\nthree\n"
    (tmp_path / "a.vtt").write_text(vtt)
    assert [text for _, _, text, _ in times(segments.read(tmp_path / "a.vtt"))] == ["one two", "three"]


def test_an_elan_file_in_another_encoding_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "a.eaf").write_bytes("<ANNOTATION_DOCUMENT>\xe9</ANNOTATION_DOCUMENT>".encode("latin-1"))
    with pytest.raises(InputError, match=rf"^{tmp_path / 'a.eaf'}, line 1: not UTF-8 text"):
        segments.read(tmp_path / "a.eaf")
