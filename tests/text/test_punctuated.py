from __future__ import annotations

from asr.text.punctuated import COMMA, MARKS, NONE, QUESTION, STOP, read_paragraph, read_prose

SPOKEN = "mister j brown's twenty one dogs not mine were at saint ives in nineteen oh five"


def rebuilt(text: str) -> str:
    return " ".join(word.form + MARKS[word.mark] for word in read_paragraph(text))


def test_words_are_those_that_a_recognizer_writes() -> None:
    words = read_paragraph("Mr. J. Brown's twenty-one dogs--NOT mine--were at St. Ives in 1905!")
    assert [word.word for word in words] == SPOKEN.split()
    assert [word.form for word in words][:3] == ["Mr.", "J", "Brown's"]
    assert [word.word for word in words if word.mark == COMMA] == ["dogs", "mine"]
    assert words[-1].mark == STOP


def test_marks() -> None:
    assert rebuilt("“Go!” he said; “what for?” I asked… ‘Why’—nobody knew: ever.") == (
        "Go, he said, what for? I asked, Why, nobody knew, ever."
    )
    assert [word.mark for word in read_paragraph("Who? Me. No, you")] == [QUESTION, STOP, COMMA, NONE]


def test_what_begins_a_sentence_or_a_quotation_is_known() -> None:
    words = read_paragraph("He said, “Are you Tom?” Yes. 'Tis I.")
    assert [word.word for word in words if word.begins] == ["he", "are", "yes", "tis"]


def test_paragraphs_of_prose() -> None:
    lines = ["CHAPTER I.", "", "Emma Woodhouse,", "_handsome_ and rich.", "", "Contents", "", "“No,” she said.”"]
    assert [" ".join(w.form for w in words) for words in read_prose(lines)] == [
        "Emma Woodhouse handsome and rich",
        "No she said",
    ]
