"""The help texts: commands by what they are for, and examples of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

SECTIONS = {
    "Train a model": ("prepare", "train", "lm", "tune", "punctuation"),
    "Score and compare": ("evaluate", "score", "compare", "plot", "info"),
    "Use a recognizer": ("transcribe", "listen", "align", "serve", "export"),
    "Use other models": ("classify", "generate", "pronounce", "caption"),
}

EXAMPLES = {
    "prepare": (
        "asr prepare folder recordings/ --output data/mine --dev 10% --test 10%",
        "asr prepare folder kaldi/data/train --output data/mine --skip-bad 10",
        "asr prepare librispeech LibriSpeech/ --output data/librispeech",
    ),
    "train": (
        "asr train recipes/digits/ctc.yaml name=mine trainer.epochs=20 seed=2",
        "asr train recipes/digits/ctc.yaml name=mine resume=auto   # after Ctrl-C",
        "asr train recipes/digits/ctc.yaml encoder=lstm optimizer.lr=1e-3,2e-3 -m",
    ),
    "evaluate": (
        "asr evaluate runs/mine/seed=1 data/mine/test.jsonl.gz --worst 10",
        "asr evaluate runs/mine/seed=1 data/mine/test.jsonl.gz --details test.jsonl",
    ),
    "score": (
        "asr score ref.trn hyp.trn                    # or ref.stm hyp.ctm, or Kaldi's text",
        "asr score test.jsonl.gz theirs.txt --normalization english --by-speaker",
        "asr score ref.txt hyp.txt --plain --metric cer",
    ),
    "compare": (
        "asr compare runs/a/seed=1 runs/b/seed=1 data/mine/test.jsonl.gz",
        "asr compare a.jsonl b.jsonl                  # of asr evaluate --details",
        "asr compare ours.jsonl theirs.trn data/mine/test.jsonl.gz --normalization english",
    ),
    "transcribe": (
        "asr transcribe talk.mp3                      # with the English model of the package",
        "asr transcribe talk.mp3 --digits             # 23; --plain: bare words",
        "asr transcribe calls/ --model runs/mine/seed=1 --format srt --output-dir out",
        "asr transcribe talk.mp3 --model runs/mine/seed=1 --hotwords 'anna,new york=3'",
    ),
    "listen": (
        "asr listen                                   # captions of the microphone, in English",
        "asr listen --save talk.flac --format txt,srt # and audio and transcript in files",
        "asr listen --list-devices",
        "asr listen --file - --json                   # raw samples of standard input",
    ),
    "align": (
        "asr align talk.mp3 talk.txt --model runs/mine/seed=1 --format TextGrid",
        "asr align recordings/ --model runs/mine/seed=1 --output-dir out --close-gaps 0.1",
        "asr align test.jsonl.gz --output-dir out --format TextGrid,ctm",
    ),
    "serve": (
        "asr serve                                    # English, at http://localhost:8000/",
        "asr serve --model runs/mine/seed=1 --host 0.0.0.0 --max-minutes 60",
    ),
    "export": (
        "asr export english --output english-onnx     # the English model of the package",
        "asr export runs/mine/seed=1 --int8 --output mine-int8",
    ),
    "tune": ("asr tune runs/mine/seed=1 data/mine/dev.jsonl.gz --lm lm.arpa.gz",),
    "punctuation": (
        "asr punctuation books/*.txt --model runs/mine/seed=1 --numbers english",
        "asr punctuation books/*.txt --model runs/mine/seed=1 --speech talks.jsonl.gz",
    ),
    "generate": ("asr generate runs/shakespeare/seed=1 --prompt 'ROMEO:' --temperature 0.7",),
    "classify": (
        "asr classify one.wav more/ --model runs/classify_fsdd/seed=1 --top 3",
        "asr classify hours.flac --model runs/classify_fsdd/seed=1 --detect",
    ),
    "pronounce": ("asr pronounce tarkovsky kieslowski --model runs/g2p/seed=1 --nbest 2",),
    "caption": ("asr caption photos/ --model runs/flickr8k-reward/seed=1 --html sheet.html",),
    "info": ("asr info runs/mine/seed=1",),
    "plot spikes": (
        "asr plot spikes talk.wav --output talk.png   # with the English model of the package",
        "asr plot spikes talk.wav talk.txt --model runs/mine/seed=1 --output talk.svg",
    ),
    "plot sensitivity": ("asr plot sensitivity talk.wav --label ah --output ah.png",),
    "plot gates": ("asr plot gates talk.wav --layer 2 --backward --output gates.png",),
    "plot gradients": (
        "asr plot gradients --cells tanh,lstm --forget-bias 3 --output vanishing.png",
        "asr plot gradients talk.wav talk.txt --output gradients.png",
    ),
    "plot curves": ("asr plot curves runs/a runs/b/seed=1 --output curves.png",),
    "plot confusion": ("asr plot confusion data/mine/test.jsonl.gz --output phones.png",),
    "lm train": ("asr lm train texts.txt data/mine/train.jsonl.gz --output lm.arpa.gz",),
    "lm score": ("asr lm score lm.arpa.gz texts.txt",),
    "lm mix": ("asr lm mix mine.arpa.gz books.arpa.gz --dev dev.txt --output mixed.arpa.gz",),
    "lm lexicon": ("asr lm lexicon cmudict.dict lm.ngram lexicon.bin",),
    "lm convert": ("asr lm convert lm.arpa.gz lm.ngram",),
    "lm prune": ("asr lm prune lm.arpa.gz small.arpa.gz --threshold 1e-8",),
}


class Command(TyperCommand):
    """A command whose help ends with examples."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples of the command."""
        names: list[str] = []  # without that of the program
        while ctx.parent is not None:
            names.insert(0, ctx.info_name)
            ctx = ctx.parent
        if examples := EXAMPLES.get(" ".join(names)):
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in examples))


class Commands(TyperGroup):
    """A group of commands whose help lists them by what they are for, each with its whole first sentence."""

    sections: Mapping[str, Sequence[str]] = {}

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of commands."""
        named = [name for names in self.sections.values() for name in names]
        others = [name for name in self.list_commands(ctx) if name not in named]
        for title, names in [*self.sections.items(), ("Commands", others)]:
            commands = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(200)) for name, command in commands if command is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Program(Commands):
    """The program itself."""

    sections = SECTIONS
