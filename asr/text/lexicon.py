"""Pronouncing dictionaries: reading them, and the phones of a text."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path

from asr.errors import InputError
from asr.text import compiled_lexicon
from asr.text.compiled_lexicon import CompiledLexicon
from asr.text.normalization import APOSTROPHES, visible
from asr.text.phones import ARPABET
from asr.utils.text_files import read_text

Lexicon = Mapping[str, list[tuple[str, ...]]]  # pronunciations, the phones of each, by word

log = logging.getLogger(__name__)

MAX_OTHER_ENTRIES = 0.25  # share of entries with other phones that a dictionary of CMUdict's phones may have
_CMU_PHONES = frozenset(ARPABET) | {"sil", "spn", "nsn", "sp"}  # with Kaldi's and HTK's silences and noises
_NUMBER = re.compile(r"\d+|\d*\.\d+(?:[eE][+-]?\d+)?|\d+\.?[eE][+-]?\d+|\d+\.")
_OUTPUT_SYMBOL = re.compile(r"\[.*\]")
_NOISE = re.compile(r"<.*>|\[.*\]|\{.*\}|\+\+.*\+\+|!.+", re.DOTALL)
_POINTS = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u064b-\u0652\u0670]"
)  # vowels of Hebrew and Arabic, optional
_COMMENT = re.compile(r"\s*(?:;;|; |##|#(?:\s|$))")
# plain forms of what looks like an apostrophe or a hyphen; Arabic's tatweel only makes a word wider
_PLAIN_FORMS = str.maketrans(dict.fromkeys(APOSTROPHES, "'") | dict.fromkeys("‐‑‒－﹣−", "-") | {"\u0640": ""})
_AROUND_WORDS = '.,;:!?"()[]{}<>…«»‹›„“”‟¿¡。、，！？：；「」『』،؛؟۔'
MIN_UNSPLIT = 3  # average characters of phones that are whole words
_fields = re.compile(r"[^ \t]+").findall  # other white space, as U+00A0, can be in words


def read_lexicon(path: str | Path, keep_stress: bool = False) -> Lexicon:
    """Read the pronunciations of lower-case words, in the file's order, from any of the usual kinds of dictionary.

    A file of `asr lm lexicon` is read too; its words and phones stay as they are.

    - CMUdict, Sphinx: ``word P R O N``, a variant ``word(2) P R O N``; ``;;`` begins a comment line, ``#`` a remark;
    - Kaldi's ``lexicon.txt``: the same, a variant is the word again; ``lexiconp.txt``: ``word 0.7 P R O N``;
    - Montreal Forced Aligner: the same with up to four probabilities, of the word and of silence around it;
    - HTK: ``WORD [output] 0.7 P R O N``, output symbol and probability as you like.

    Probabilities and output symbols are left out. Tabs and blanks separate the fields. If nearly all entries consist of
    CMUdict's phones these become `asr.text.phones.ARPABET`: lower case and, unless ``keep_stress``, without stress
    digits; other phones in it stay as they are, with a warning unless they belong to noises. Other phone sets stay as
    they are. Words get their `lookup_form`. Entries of several words, before a tab, are left out with a warning.

    Args:
        path: UTF-8 or Latin-1 text, plain or compressed.
        keep_stress: keep the stress digits of CMUdict's vowels.

    Raises:
        InputError: not a lexicon; the line is named. Or a compiled one, of whose phones the stress was to be kept.
    """
    if compiled_lexicon.FORMAT.matches(path):
        if keep_stress:
            raise InputError(f"{path}: a compiled dictionary has no stress; give the dictionary that it was made from")
        return CompiledLexicon.read(path)
    text = read_text(path, fallback="latin-1")  # of cmudict-0.7b, which has a few French words
    if text.lstrip()[:20].lower().startswith(("<?xml", "<lexicon", '{"', "{\n", "[{")):
        raise InputError(f"{path}: XML or JSON; a dictionary has lines 'word P R O N'")
    entries: list[tuple[int, str, list[str]]] = []  # line, word, and the fields behind it
    phrases: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        fields = _fields(line.split(" #")[0].rstrip())
        if fields and not _COMMENT.match(line):
            if _is_phrase(line):
                phrases.append(line.partition("\t")[0].strip())
                continue
            word = fields[0][1:] if fields[0].startswith(("\\'", '\\"')) else fields[0]  # HTK escapes a quote
            entries.append((number, word, _without_output_symbol(fields[1:])))
    if not entries:
        raise InputError(f"{path}: the lexicon is empty")
    if phrases:
        log.warning("%s: %d entries of several words are left out, the first is %r", path, len(phrases), phrases[0])
    lexicon: dict[str, list[tuple[str, ...]]] = {}
    for (number, entry, fields), count in zip(entries, _probabilities(fields for _, _, fields in entries), strict=True):
        if not (phones := tuple(fields[count:])):
            shown = " ".join([entry, *fields])[:60]
            raise InputError(f"{path}, line {number}: expected 'word P R O N', got {shown!r}")
        lexicon.setdefault(lookup_form(headword(entry)), []).append(phones)
    _check_phones(lexicon, path)
    renamed = _with_arpabet(lexicon, keep_stress, path)
    return {word: list(dict.fromkeys(variants)) for word, variants in renamed.items()}


def _is_phrase(line: str) -> bool:
    """Tell whether several words stand before the tab of an entry."""
    before, tab, behind = line.partition("\t")
    words = _fields(before)
    return (
        bool(tab and behind.strip())
        and len(words) > 1
        and not (_NUMBER.fullmatch(words[1]) or _OUTPUT_SYMBOL.fullmatch(words[1]) or "\t" in before.strip())
    )


def _check_phones(lexicon: Lexicon, path: str | Path) -> None:
    """Log a warning if each word has one phone of its own: pronunciations that are not split."""
    variants = [variant for variants in lexicon.values() for variant in variants]
    phones = {variant[0] for variant in variants if len(variant) == 1}
    if len(phones) > 0.9 * len(variants) and sum(map(len, phones)) > MIN_UNSPLIT * len(phones):
        log.warning(
            "%s: most words have a single phone, as %r: blanks must separate the phones of a pronunciation",
            *(path, next(iter(phones))),
        )


def lookup_form(text: str) -> str:
    """Return words as a lexicon has them: small letters, plain apostrophes and hyphens, nothing invisible.

    Letters that are written in several ways (full width, ligatures, Arabic presentation forms) get their plain form.
    """
    if text.isascii():
        return visible(text).lower()
    plain = visible(text.translate(_PLAIN_FORMS))
    folded = "".join(unicodedata.normalize("NFKC", c) if c.isalnum() else c for c in plain).lower()
    return unicodedata.normalize("NFC", folded).replace("i\u0307", "i")  # of İ


def _without_output_symbol(fields: list[str]) -> list[str]:
    """Remove HTK's output symbol, [word] or [], before phones."""
    return fields[1:] if len(fields) > 1 and _OUTPUT_SYMBOL.fullmatch(fields[0]) else fields


def _probabilities(entries: Iterable[list[str]]) -> list[int]:
    """Count the probabilities before the phones of each entry.

    A decimal number is one. A whole number can be a phone (of SAMPA): it is a probability if decimal ones stand beside
    it, or if every entry begins with a number; 0 and 1 also if any entry has a decimal one.
    """
    rows = list(entries)
    numbers = [list(takewhile(_NUMBER.fullmatch, fields)) for fields in rows]
    anywhere = all(numbers) or any(any("." in number for number in row) for row in numbers)
    counts = []
    for row in numbers:
        certain = all(numbers) or any(not number.isdigit() for number in row)
        whole = anywhere and all(number in ("0", "1") for number in row)
        counts.append(len(row) if certain or whole else 0)
    return counts


def _with_arpabet(lexicon: Lexicon, keep_stress: bool, path: str | Path) -> Lexicon:
    """Rename CMUdict's phones to those of ARPABET if nearly all entries of words consist of them."""
    phones = {phone for variants in lexicon.values() for variant in variants for phone in variant}
    known = {phone for phone in phones if _plain(phone) in _CMU_PHONES}
    # an entry of a noise, <unk> or ++uh++, says nothing of the words' phones
    words = {word: variants for word, variants in lexicon.items() if not _NOISE.fullmatch(word)} or lexicon
    odd = {word: [v for v in variants if not known.issuperset(v)] for word, variants in words.items()}
    count = sum(map(len, odd.values()))
    if count > MAX_OTHER_ENTRIES * sum(map(len, words.values())):
        return lexicon
    if count:
        others = sorted({phone for variants in odd.values() for variant in variants for phone in variant} - known)
        first = next(word for word, variants in odd.items() if variants)
        log.warning(
            "%s: phones that CMUdict does not have stay as they are: %s (in %d entries, the first of %r)",
            *(path, " ".join(others[:10]) + (" …" if len(others) > 10 else ""), count, first),
        )
    names = {phone: phone.lower() if keep_stress else _plain(phone) for phone in known}
    return {
        word: [tuple(names.get(phone, phone) for phone in variant) for variant in variants]
        for word, variants in lexicon.items()
    }


def headword(entry: str) -> str:
    """Remove the number of a variant from a dictionary's word: read(2) becomes read."""
    return re.sub(r"(?<=.)\(\d+\)$", "", entry)


def _plain(phone: str) -> str:
    return phone.lower().rstrip("012")


def words(text: str) -> list[str]:
    """Split a text into words to look up: lower case, straight apostrophes, dashes as spaces, no other punctuation."""
    return [word for word in map(_letters, _tokens(text)) if word.strip("'")]


def _tokens(text: str) -> list[str]:
    """Split a text at white space and dashes, in `lookup_form`."""
    return re.sub(r"--+|[—–]", " ", lookup_form(text)).split()


def _letters(token: str) -> str:
    """Keep letters, digits, apostrophes and inner hyphens of a token, with marks and joiners, as many scripts need."""
    if not token.isascii():
        return "".join(
            c for c in token if c.isalnum() or c in "'-\u200c\u200d" or unicodedata.category(c)[0] == "M"
        ).strip("-")
    return re.sub(r"[^a-z0-9'-]", "", token).strip("-")


def pronounce(text: str, lexicon: Mapping[str, list[tuple[str, ...]]]) -> tuple[list[str], list[str]]:
    """Return the phones of a text, by each word's first pronunciation, and the words that have none.

    A word that is not in the lexicon is looked up without the quotation marks around it, then without the optional
    vowels of Hebrew and Arabic, then in its hyphenated parts. Words that the lexicon has with punctuation (at&t, u.s.)
    are found too.
    """
    phones: list[str] = []
    unknown: list[str] = []
    for token in _tokens(text):
        word = _letters(token)
        if not word.strip("'"):
            continue
        core = token.strip(_AROUND_WORDS)
        as_written = [token, core]
        candidates = [word, *as_written] if core == word else [*as_written, word]
        candidates += [word.strip("'"), _POINTS.sub("", word)]
        found = next((candidate for candidate in candidates if candidate in lexicon), None)
        for part in [part for part in word.strip("'").split("-") if part] if found is None else [found]:
            if part in lexicon:
                phones.extend(lexicon[part][0])
            else:
                unknown.append(part)
    return phones, unknown
