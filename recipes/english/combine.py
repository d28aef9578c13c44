"""Combine the training sets of several corpora, without duplicates and without dev speakers.

    python recipes/english/combine.py LEXICON [LEXICON ...] [--add MANIFEST ...]

Reads data/{librispeech,minilibri,speechocean762,ljspeech,kathleen}/train.jsonl.gz and further manifests of training
speech, writes data/english/train.jsonl.gz, with phones from all dictionaries, and data/english/short.jsonl.gz, its
utterances of up to 7 s. (The dev sets keep the phones that `asr prepare` gave them.)
"""

from __future__ import annotations

import argparse

from asr.corpora.add_phones import add_phones
from asr.data import manifest
from asr.text.lexicon import read_lexicon

CORPORA = ("librispeech", "minilibri", "speechocean762", "ljspeech", "kathleen")
SAME_SPEAKERS = ("librispeech", "minilibri")  # corpora whose speakers have the same names
SHORT = 7.0


def main() -> None:
    """Write the manifests and print the size of each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lexicons", nargs="+", metavar="LEXICON", help="pronouncing dictionary; the first one wins")
    parser.add_argument("--add", nargs="+", default=[], metavar="MANIFEST", help="of more training speech")
    options = parser.parse_args()
    lexicon: dict[str, list[tuple[str, ...]]] = {}
    for path in options.lexicons:
        for word, variants in read_lexicon(path).items():
            lexicon.setdefault(word, variants)
    held_out = {manifest.speaker(cut) for name in SAME_SPEAKERS for cut in manifest.read(f"data/{name}/dev.jsonl.gz")}
    ids: set[str] = set()
    chosen = []
    sources = {corpus: f"data/{corpus}/train.jsonl.gz" for corpus in CORPORA} | {path: path for path in options.add}
    for corpus, path in sources.items():
        cuts = manifest.read(path)
        kept = [cut for cut in cuts if cut.id not in ids]
        if corpus in SAME_SPEAKERS:
            kept = [cut for cut in kept if manifest.speaker(cut) not in held_out]
        kept, coverage = add_phones(kept, lexicon)
        ids |= {cut.id for cut in kept}
        hours = manifest.summary(kept).hours
        print(f"{corpus}: {len(kept)} of {len(cuts)} utterances, {hours:.2f} h, {coverage.covered} with phones")
        chosen += kept
    manifest.write(chosen, "data/english/train.jsonl.gz")
    manifest.write([cut for cut in chosen if cut.duration <= SHORT], "data/english/short.jsonl.gz")


if __name__ == "__main__":
    main()
