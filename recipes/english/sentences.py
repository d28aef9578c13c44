"""Write the sentences of books, and further lines of text, as training text of a language model: one a line.

python recipes/english/sentences.py data/rescoring/train.txt novels/*.txt.xz --lines transcripts.txt train.jsonl.gz
"""

from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path

from asr.data.lm_text import read_sentences
from asr.utils.atomic import atomic_path


def main() -> None:
    """Write normalized sentences; numbers in books are spelled as words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("books", nargs="+", help="text files, plain or compressed; blank lines separate paragraphs")
    parser.add_argument("--lines", nargs="*", default=[], help="text files with a sentence a line, and manifests")
    options = parser.parse_args()
    sentences = chain(read_sentences(options.books, prose=True, spell=True), read_sentences(options.lines))
    with atomic_path(options.output) as path, path.open("w", encoding="utf-8") as file:
        file.writelines(" ".join(words) + "\n" for words in sentences)


if __name__ == "__main__":
    main()
