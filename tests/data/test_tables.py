"""Tables and JSON as people and other programs write them: columns, separators, times, arrays."""

from __future__ import annotations

import json
import sys
from datetime import date, time, timedelta
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import soundfile

from asr.data import manifest
from asr.data.manifest import FEATURE_STORAGE
from asr.data.speech_dataset import READERS
from asr.data.tables import column_name
from asr.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file a.wav of 2 s."""
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 8000)
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "b.wav", np.zeros(16000), 8000)
    return tmp_path


def rows(path: Path, *lines: str, encoding: str = "utf-8") -> list[tuple]:
    path.write_text("".join(line + "\n" for line in lines), encoding=encoding)
    return described(path)


def described(path: Path) -> list[tuple]:
    return [(manifest.text(c), manifest.speaker(c), c.start, c.duration) for c in manifest.read(path)]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("audio,start,end,text", "a.wav,0.5,1.25,open the"),
        ("path,text,begin,end", "a.wav,open the,0.5,1.25"),
        ("path,text,start_time,end_time", "a.wav,open the,0.5,1.25"),
        ("path,text,offset,duration", "a.wav,open the,0.5,0.75"),
        ("path,text,Start (s),Stop (s)", "a.wav,open the,0.5,1.25"),
        ("path,text,start_ms,end_ms", "a.wav,open the,500,1250"),
        ("path,text,Start [ms],Duration [ms]", "a.wav,open the,500,750"),
        ("path,text,Begin time,End-Time", "a.wav,open the,0:00.5,00:00:01.250"),
        ("path,text,start,end,duration", "a.wav,open the,0.5,1.25,0.75"),
        ("path,text,start,end,duration", "a.wav,open the,0.5,1.25,2"),  # of the file
        ("path;text;start;end", "a.wav;open the;0,5;1,25"),
    ],
)
def test_columns_of_segments(folder: Path, header: str, row: str) -> None:
    assert rows(folder / "m.csv", header, row) == [("open the", "", 0.5, 0.75)]


def test_an_end_without_a_start(folder: Path) -> None:
    assert rows(folder / "m.csv", "path,text,end", "a.wav,open the,1") == [("open the", "", 0.0, 1.0)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.wav,x,1,1,", "line 2: the segment 1–1 s ends before it begins"),
        ("a.wav,x,1.5,1,", "line 2: the segment 1.5–1 s ends before it begins"),
        ("a.wav,x,0,1,0.5", "line 2: duration is 0.5, but the segment 0–1 s is 1 s long"),
        ("a.wav,x,0,soon,", "line 2: end is 'soon', expected seconds"),
        ("a.wav,x,0,3,", "line 2: the segment 0–3 s is not inside"),
    ],
)
def test_segments_that_cannot_be(folder: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rows(folder / "m.csv", "path,text,start,end,duration", row)


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("m.csv", "wav_filename,wav_filesize,transcript", "a.wav,32044,open"),  # DeepSpeech
        ("metadata.csv", "file_name,transcription", "a.wav,open"),  # Hugging Face
        ("m.csv", "file_name,sentence", "a.wav,open"),
        ("m.csv", "Filename,Transcript", "a.wav,open"),
        ("m.csv", "filename;transcript", "a.wav;open"),
        ("m.csv", "\ufefffilename;transcript", "a.wav;open"),
        ("m.csv", "filename\ttranscript", "a.wav\topen"),
        ("m.csv", "filename|transcript", "a.wav|open"),
        ("m.csv", '"File Name";"Transcript"', '"a.wav";"open"'),
        ("m.tsv", "file_name,sentence", "a.wav,open"),
        ("m.csv", "sep=;\nfilename;transcript", "a.wav;open"),
        ("m.csv", "path,text,,", "a.wav,open,,"),
        ("m.csv", "path,text", "a.wav ,open\n,\n"),
        ("m.csv", "path,text,path2", ".\\a.wav,open,"),
        ("m.csv", "path, text", 'a.wav, "open"'),
        ("m.csv", "path,\u200btext\u00a0", "a.wav,open"),
        ("m.csv", "path,text", "a.wav,open\npath,text"),  # files that were joined
        ("m.csv", "\ufeffpath,text", "a.wav,open\n\ufeffpath,text"),
        ("m.csv", "wav,txt", "a.wav,open"),
    ],
)
def test_columns_and_separators_of_others(
    folder: Path, name: str, header: str, row: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert rows(folder / name, header, row) == [("open", "", 0.0, 2.0)]
    assert not caplog.records


def test_common_voice_and_windows_paths(folder: Path) -> None:
    header = "client_id\tpath\tsentence\tup_votes"
    assert rows(folder / "train.tsv", header, 'c0ffee\tclips\\b.wav\t"Hello" there\t2') == [
        ('"Hello" there', "c0ffee", 0.0, 2.0)
    ]


def test_cells_of_tsv_that_are_certainly_quoted(folder: Path) -> None:
    lines = ['a.wav\t"""Yes,"" he said"', 'clips/b.wav\t"quoted"', 'clips/./b.wav\t"" x ""']
    assert [
        row[0] for row in rows(folder / "m.tsv", "path\tsentence\tid", *(f"{x}\t{n}" for n, x in enumerate(lines)))
    ] == [
        '"Yes," he said',
        '"quoted"',
        '"" x ""',
    ]


def test_wrong_quotation_marks_are_named_with_all_other_bad_rows(folder: Path) -> None:
    lines = [
        'a.wav,"no" now',
        "a.wav,open",
        'a.wav,"say \\"no\\""',
        "none.wav,x",
        'a.wav,"two\nlines",',
        'a.wav,"x',
        "b,y",
    ]
    with pytest.raises(InputError) as error:
        rows(folder / "m.csv", "path,text", *lines)
    twice = 'a quotation mark within quotation marks is written twice, as in "say ""no"" now"'
    assert str(error.value).split("\n  ")[1:] == [
        f"line 2: {twice}",
        f"line 4: {twice}",
        f"line 5: {folder / 'none.wav'} does not exist",
        "line 7: 3 columns where the header has 2 (quote a text that has commas)",
        "line 8: the quotation mark that begins a cell here is not closed",
    ]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("path,text,start,end", "a.wav,x,0.5 s,1250ms"),
        ("path,text,start,end", "a.wav,x,500 ms,1.25s"),
        ("path,text,start,end", 'a.wav,x,"0,5 sec",1.25'),
        ("path,text,start_ms,end_ms", 'a.wav,x,500,"1,250"'),
        ("path,text,start_ms,duration", "a.wav,x,500 ms,0.75"),
    ],
)
def test_units_and_thousands_of_times(folder: Path, header: str, row: str) -> None:
    assert rows(folder / "m.csv", header, row) == [("x", "", 0.5, 0.75)]


def test_a_table_without_a_header(folder: Path) -> None:
    with pytest.raises(
        InputError, match=r"in the header \['a.wav', 'open'\]; the first line names the columns, as audio"
    ):
        rows(folder / "m.csv", "a.wav,open")


def test_accents_of_file_names_as_macos_stores_them(folder: Path) -> None:
    (folder / "a.wav").rename(folder / "cafe\u0301.wav")
    assert rows(folder / "m.csv", "path,text", "caf\u00e9.wav,open") == [("open", "", 0.0, 2.0)]


def test_old_line_ends_of_macintosh(folder: Path) -> None:
    (folder / "m.csv").write_bytes(b"path;text\ra.wav;open\r")
    assert described(folder / "m.csv") == [("open", "", 0.0, 2.0)]


def test_columns_without_effect_are_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows(folder / "m.csv", "path,text,sentence,date,empty,", "a.wav,x,y,2020,,z")
    assert "m.csv: columns without effect: sentence, date, (a column without a name)" in caplog.text
    caplog.clear()
    rows(folder / "m.jsonl", '{"audio": "a.wav", "text": "x", "lang": "en"}')
    assert "m.jsonl: columns without effect: lang" in caplog.text


def test_two_columns_of_one_name(folder: Path) -> None:
    with pytest.raises(InputError, match="line 1: two columns have the name text"):
        rows(folder / "m.csv", "path,text,Text", "a.wav,x,y")


@pytest.mark.parametrize("name", ["m.csv", "m.tsv"])
def test_the_text_of_an_hour_in_one_cell(folder: Path, name: str) -> None:
    text = "open the door " * 12000
    separator = "," if name == "m.csv" else "\t"
    assert rows(folder / name, f"path{separator}text", f"a.wav{separator}{text}")[0][0] == text.strip()


def test_tables_of_windows(folder: Path) -> None:
    assert rows(folder / "m.tsv", "path\ttext", "a.wav\té", encoding="utf-16") == [("é", "", 0.0, 2.0)]
    with pytest.raises(InputError, match=r"m\.csv, line 2: not UTF-8 text \(save it as UTF-8; .*'CSV UTF-8'"):
        rows(folder / "m.csv", "path,text", "a.wav,é", encoding="cp1252")
    with pytest.raises(InputError, match=r"m\.ods: unknown format .*; save the table as \.xlsx or 'CSV UTF-8'"):
        rows(folder / "m.ods", "path,text")


def test_excel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Path", "Text", "Start", "End", "Speaker"], ["a.wav", "open", 0.5, 1.25, 7.0], [], ["a.wav", 1984]):
        sheet.append(row)
    book.save(folder / "m.xlsx")
    assert described(folder / "m.xlsx") == [("open", "7", 0.5, 0.75), ("1984", "", 0.0, 2.0)]
    (folder / "bad.xlsx").write_bytes((folder / "m.xlsx").read_bytes()[:1000])
    with pytest.raises(InputError, match=r"bad\.xlsx: not an Excel workbook that can be read"):
        manifest.read(folder / "bad.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r"m\.xlsx: Excel files need the package openpyxl .*\[excel\].*'CSV UTF-8'"):
        manifest.read(folder / "m.xlsx")


def test_sheets_and_dates_of_excel(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Notes about these"])
    for name in "data", "more":
        sheet = book.create_sheet(name)
        sheet.append(["path", "text", "start", "end"])
        sheet.append(["a.wav", date(2020, 5, 1), time(0, 0, 0, 500000), timedelta(seconds=1.25)])
    book.save(folder / "m.xlsx")
    assert described(folder / "m.xlsx") == [("2020-05-01", "", 0.5, 0.75)]
    assert "m.xlsx: only the sheet 'data' is read, not 'more'" in caplog.text


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Start (s)", "start"),
        ("End [ms]", "end_ms"),
        (" File-Name ", "file_name"),
        ("text (en)", "text_en"),
        ("", ""),
        ("startTime", "start_time"),
        ("filename", "file_name"),
        ("StartTimeMs", "start_time_ms"),
        ("Speaker ID", "speaker_id"),
    ],
)
def test_column_names(name: str, plain: str) -> None:
    assert column_name(name) == plain


# -- JSON

ROW = {"audio_filepath": "a.wav", "text": "x"}


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("name", ["m.json", "m.jsonl"])
def test_arrays_of_rows_and_of_cuts(folder: Path, name: str, indent: int | None) -> None:
    cut = manifest.make_cut("c", folder / "a.wav", "y").to_dict()
    (folder / name).write_text(json.dumps([{**ROW, "id": "r"}, cut], indent=indent))
    assert [(c.id, manifest.text(c)) for c in manifest.read(folder / name)] == [("r", "x"), ("c", "y")]
    (folder / name).write_text("\n".join(json.dumps(r, indent=4) for r in ({**ROW, "id": "r"}, cut)))
    assert [c.id for c in manifest.read(folder / name)] == ["r", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[\n {"audio_filepath": "a.wav"}\n]', "line 2: no text, "),
        (
            '[\n {"audio": "a.wav", "text": "x"},\n 7]',
            "1 of 2 utterances .*\n  line 3: expected a JSON object, not '7'",
        ),
        ('[\n {"audio": "a.wav", "text": "x"},\n', "line 3: the JSON array is cut short"),
        ('[\n {"audio": "a.wav", "te', "line 2: not JSON"),
        ('[{"audio": "a.wav", "text": "x"}] x', "'x' behind the end of the JSON array"),
        ("[]", "is empty"),
        ("{\n", "line 1: not JSON"),
        ("[" * 100000, "not JSON|expected a JSON object"),
    ],
)
def test_damaged_arrays(folder: Path, content: str, message: str) -> None:
    (folder / "m.json").write_text(content)
    with pytest.raises(InputError, match=message):
        manifest.read(folder / "m.json")


def test_speaker_0_and_id_0(folder: Path) -> None:
    (folder / "m.json").write_text(json.dumps({**ROW, "speaker": 0, "id": 0}))
    (cut,) = manifest.read(folder / "m.json")
    assert (cut.id, manifest.speaker(cut)) == ("0", "0")
    (folder / "m.json").write_text(json.dumps({**ROW, "speaker": None, "id": ""}))
    (cut,) = manifest.read(folder / "m.json")
    assert (cut.id, manifest.speaker(cut)) == ("a", "")


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ('{"audio": "a.wav", "text": 5}', "5"),
        ('{"audio": "a.wav", "text": 2.5}', "2.5"),
        ('{"audio": "a.wav", "text": "a\tb"}', "a b"),
        ('{"audio": "a.wav", "text": "a \\ud83d b"}', "a b"),
        ('{"audio": "a.wav", "text": "\\ud83d\\ude00"}', "\U0001f600"),
        ('{"audio": "a.wav", "text": "x", "text": "x"}', "x"),
    ],
)
def test_odd_texts(folder: Path, record: str, text: str) -> None:
    assert rows(folder / "m.jsonl", record) == [(text, "", 0.0, 2.0)]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"audio": "a.wav", "text": "x", "text": "y"}', "line 1: not JSON: the key 'text' is there twice"),
        ('{"audio": "a.wav", "text": "x", "Text": "y"}', "line 1: the keys text and Text mean the same"),
        ('{"audio": "a.wav", "text": true}', "text is True, expected text"),
        ('{"audio": {"array": [' + "0.5, " * 999 + '0]}, "text": "x"}', r"audio is .{60}, expected text"),
        ('{"audio": "a.wav", "text": "x", "duration": NaN}', "duration is nan, expected seconds"),
    ],
)
def test_keys_and_values_that_are_refused(folder: Path, record: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rows(folder / "m.jsonl", record)


def test_audio_of_hugging_face(folder: Path) -> None:
    (folder / "m.jsonl").write_text(json.dumps({"audio": {"path": "a.wav", "sampling_rate": 8000}, "sentence": "x"}))
    assert described(folder / "m.jsonl") == [("x", "", 0.0, 2.0)]


@pytest.mark.parametrize("kind", ["numpy_files", "lilcom_chunky", "lilcom_files"])
def test_cuts_with_features_of_another_storage_are_refused_by_name(folder: Path, kind: str) -> None:
    cut = manifest.make_cut("c", folder / "a.wav", "y").to_dict()
    cut.pop("recording")
    features = {
        **{"type": "fbank", "num_frames": 200, "num_features": 80, "frame_shift": 0.01, "sampling_rate": 8000},
        **{"start": 0, "duration": 2.0, "storage_type": kind, "storage_path": ".", "storage_key": "x", "channels": 0},
    }
    (folder / "m.jsonl").write_text(json.dumps({**cut, "features": features}))
    with pytest.raises(InputError, match=rf"line 1: the features of cut c are stored as {kind}, which is not one of"):
        manifest.read(folder / "m.jsonl")
    assert set(FEATURE_STORAGE) == set(READERS)
