"""CTM, STM and labels of Audacity as segments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.data import segments
from asr.data.timed_lines import MARGIN, MAX_SEGMENT, PAUSE, read_ctm
from asr.data.timed_text import TimedText
from asr.errors import InputError


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def times(found: Sequence[TimedText | InputError]) -> list[tuple]:
    return [(round(s.start, 3), round(s.end, 3), s.text) for s in found if isinstance(s, TimedText)]


def errors(found: Sequence[TimedText | InputError]) -> list[str]:
    return [str(error) for error in found if isinstance(error, InputError)]


# -- Audacity


def test_labels(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.txt", "0.500000\t1.250000\tOpen  the door", "\\\t100.0\t200.0", "", "2,5\t3,25\tno", "4\t5\t"
    )
    assert segments.is_annotation(path)
    assert times(segments.read(path)) == [(0.5, 1.25, "Open the door"), (2.5, 3.25, "no")]
    assert not segments.is_annotation(write(tmp_path / "b.txt", "Open the door", "0.5\t1.25\tnot this"))
    assert not segments.is_annotation(write(tmp_path / "c.txt", "1 2 3")) and segments.is_annotation(tmp_path / "d.ctm")


def test_bad_labels(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.txt", "0\t1\tone", "1.5\t1.5\tpoint", "2 3 four", "5\t4\tback", "-1\t1\tearly", "6\t7\ttwo"
    )
    found = segments.read(path)
    assert times(found) == [(0, 1, "one"), (6, 7, "two")]
    assert errors(found) == [
        f"{path}, line 2: the label 'point' is a point in time; a segment has an end after its start",
        f"{path}, line 3: '2 3 four' is not a label (start, end and text, with tabs between them)",
        f"{path}, line 4: the segment 5–4 s ends before it begins, or begins before 0",
        f"{path}, line 5: the segment -1–1 s ends before it begins, or begins before 0",
    ]
    with pytest.raises(InputError, match="has no tiers"):
        segments.read(path, "anna")


# -- STM


def test_stm(tmp_path: Path) -> None:
    path = write(
        *(tmp_path / "a.stm", ";; comment", "talk 1 Ann 0.5 2.25 <o,f0,female> open {the / a} door"),
        *("talk 1 inter_segment_gap 2.25 3 <NA> inter_segment_gap", "other A bob 3 4 no <unk> {@ / uh} way"),
        *("talk 1 Ann 5.0 x open", "talk 1 Ann", "talk 1 Ann 7 6 open"),
    )
    found = segments.read(path)
    assert times(found) == [(0.5, 2.25, "open the door"), (3, 4, "no <unk> way")]
    assert [(s.speaker, s.recording, s.line) for s in found if isinstance(s, TimedText)] == [
        ("Ann", "talk", 2),
        ("bob", "other", 4),
    ]
    assert errors(found) == [
        f"{path}, line 5: 'talk 1 Ann 5.0 x open' is not: recording channel speaker start end text",
        f"{path}, line 6: 'talk 1 Ann' is not: recording channel speaker start end text",
        f"{path}, line 7: the segment 7–6 s ends before it begins, or begins before 0",
    ]


# -- CTM


def test_ctm(tmp_path: Path) -> None:
    path = write(
        *(
            tmp_path / "a.ctm",
            ";; words",
            "talk 1 0.05 0.25 open 0.9",
            "talk 1 0.30 0.20 the",
            "talk 1 0.50 0.50 <eps>",
        ),
        *("talk 1 1.00 0.25 door 1.0 lex", "talk 1 1.5 0.25 no"),
        *(
            "talk 1 * * <ALT_BEGIN>",
            "talk 1 3 0.25 way",
            "talk 1 * * <ALT>",
            "talk 1 3 0.25 weigh",
            "talk 1 * * <ALT_END>",
        ),
    )
    assert times(segments.read(path)) == [(0, 0.6, "open the"), (0.9, 1.85, "door no"), (2.9, 3.25, "way")]


def test_channels_of_a_ctm_are_tiers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ctm", "call A 0 1 hello", "call B 0.5 1 yes", "call A 1 0.5 there")
    found = segments.read(path)
    assert times(found) == [(0, 1.5, "hello there"), (0.4, 1.5, "yes")]
    assert [s.speaker for s in found if isinstance(s, TimedText)] == ["A", "B"]
    assert times(segments.read(path, "B")) == [(0.4, 1.5, "yes")]


@pytest.mark.parametrize("line", ["talk 1 0.5 0.2", "talk 1 x 0.2 a", "talk 1 0.5 -0.2 a", "talk 1 -1 0.2 a", "talk"])
def test_a_bad_word_of_a_ctm(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "a.ctm", "talk 1 0 0.2 one", line)
    with pytest.raises(InputError, match=rf"a.ctm, line 2: '{line}' is not: recording channel start duration word"):
        segments.read(path)


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.01, 4)), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_segments_of_a_ctm_have_all_words_and_do_not_overlap(words: list[tuple[float, float]]) -> None:
    import tempfile

    lines, now = [], 0.0
    for number, (gap, length) in enumerate(words):
        now = round(now + gap, 2)
        lines.append(f"talk 1 {now} {round(length, 2)} w{number}")
        now = round(now + round(length, 2), 2)
    with tempfile.TemporaryDirectory() as folder:
        found = [s for s in read_ctm(write(Path(folder) / "a.ctm", *lines)) if isinstance(s, TimedText)]
    assert " ".join(s.text for s in found).split() == [f"w{number}" for number in range(len(words))]
    for before, after in pairwise(found):
        assert before.end <= after.start + 1e-6
    assert all(s.end - s.start <= MAX_SEGMENT + 2 * MARGIN + 4 for s in found)
    assert found[0].start >= 0 and PAUSE > 2 * MARGIN
