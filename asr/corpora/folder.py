"""One's own recordings.

DIR is a folder of audio files, each with its text beside it:

    DIR/anna/001.wav  DIR/anna/001.txt       the text of the whole file; the speaker is the folder's name, anna
    DIR/talk.mp3      DIR/talk.TextGrid      segments with their texts: Praat's TextGrid, ELAN's .eaf, .srt or .vtt;
                                             each tier (or voice) is a speaker; --option tier=NAME reads one of them
    DIR/talk.flac     DIR/talk.txt           Audacity's labels: start, end and text, with tabs between them
    DIR/talk.flac     DIR/talk.ctm           NIST's .stm, or .ctm: words, whose pauses of 0.5 s and more make segments

or a data folder of Kaldi (wav.scp, text, segments, utt2spk; its commands are not executed: flac, sox, ffmpeg or
sph2pipe of a FILE stand for the file), or a TextGrid, .eaf, .srt, .vtt, .stm or .ctm file, or a table (.csv with
commas, semicolons or tabs, .tsv, .xlsx) or JSON file (.jsonl, .json; also .gz, .xz, .bz2) with one utterance a row. Its
columns, of which only the first two must be there:

    audio             the audio file, from the table's folder (also path, file, file_name, wav_filename, audio_filepath)
    text              what is said (also transcript, transcription, sentence)
    start, end        of a segment of the file, in seconds or as 1:02:03.5 (also begin, offset, start_time, start_ms)
    duration          of the segment, in place of its end
    speaker           a name (also speaker_id, client_id)
    id                of the utterance, if the name of the file is not enough (also utt_id)

Manifests of NeMo and Lhotse are read as well. The result is one manifest, all.jsonl.gz; with --dev 10% --test 10% it
is train.jsonl.gz, dev.jsonl.gz and test.jsonl.gz. Whole speakers are held out if that leaves half of the utterances to
train on. --skip-bad N goes on without utterances that cannot be read, if they are not more than N.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from asr.corpora._splits import hold_out_fractions
from asr.data import manifest
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

log = logging.getLogger(__name__)


def prepare(
    root: Path, dev: float | str = 0.0, test: float | str = 0.0, skip_bad: int = 0, tier: str = ""
) -> dict[str, list[MonoCut]]:
    """Return one split, ``all``, of a folder or manifest, or ``train``, ``dev`` and ``test``.

    A hash of the speakers' or utterances' names chooses the splits, see `hold_out_fractions`.

    Args:
        root: for `asr.data.manifest.read`.
        dev: share of the utterances in dev: "10%", or a number below 1.
        test: share of the utterances in test.
        skip_bad: number of utterances that may be left out because they cannot be read.
        tier: of annotation files, see `asr.data.segments.read`.

    Raises:
        InputError: a faulty folder or manifest, or shares that leave nothing to train on.
    """
    shares = {"test": _share("test", test), "dev": _share("dev", dev)}
    if isinstance(skip_bad, bool) or not isinstance(skip_bad, int) or skip_bad < 0:
        raise InputError(f"skip_bad={skip_bad!r}: expected a number of utterances")
    cuts = manifest.read(root, skip_bad=skip_bad, tier=str(tier))
    if empty := [cut.id for cut in cuts if not manifest.text(cut).strip()]:
        log.warning("%s: %d of %d utterances have no text, the first is %s", root, len(empty), len(cuts), empty[0])
    shares = {split: share for split, share in shares.items() if share}
    if not shares:
        return {"all": cuts}
    speakers = {cut.id: manifest.speaker(cut) for cut in cuts}
    splits, whole_speakers = hold_out_fractions(speakers, shares)
    what = "whole speakers" if whole_speakers else "single utterances"
    log.info("held out for %s: %s", " and ".join(reversed(shares)), what)
    return {
        split: [cut for cut in cuts if splits[cut.id] == split]
        for split in ("train", "dev", "test")
        if split in splits.values()
    }


def _share(name: str, value: float | str) -> float:
    """Parse a share: "10%", "0.1" or a number."""
    text = str(value).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise InputError(f"{name}={value}: expected a share of the utterances, as 10% or 0.1")
    return share
