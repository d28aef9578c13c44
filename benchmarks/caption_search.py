"""Beam search for captions of 64 images: all images and hypotheses in one batch, and image by image as peers do.

    python benchmarks/caption_search.py [--quick] [--json FILE]

The network is an LSTM of 512 cells and 2550 words whose initial state is the image, with random weights and one unit
that counts words, so that captions have about 11 words. Ours is `asr.decoding.label.beam.search`. The peers are the
search of the usual Show-and-Tell repositories, with a Python list of the best partial captions of each image:

- "caption by caption": the network is called for one partial caption at a time, as in neuraltalk and in programs with
  Keras' ``model.predict``. The target is 10 times the speed of this at a beam of 20.
- "image by image": it is called once for all partial captions of an image, as in im2txt.

All of them find the same captions with the same scores, which is checked first, and run on the same threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from _common import Report, arguments, medians
from torch import Tensor

from asr.decoding.hypothesis import Hypothesis
from asr.decoding.label.beam import LabelBeamOptions, search
from asr.modules.label_rnn import LabelRNN, State

WORDS, HIDDEN, LENGTH = 2550, 512, 13
BOS = EOS = 0


class Captioner(LabelRNN):
    """The network; its images are initial states (N, H)."""

    def __init__(self, images: Tensor) -> None:
        super().__init__(WORDS, hidden_size=HIDDEN)
        self.images = images
        layer = self.layers[0]
        with torch.no_grad():
            self.output.weight *= 40  # of words, a few are likely
            # The last unit adds a little to its cell with every word, whatever that is: all gates are open.
            for gate, bias in enumerate((20.0, 20.0, 0.1, 20.0)):  # input, forget, new, output
                for name in ("weight_ih_l0", "weight_hh_l0"):
                    getattr(layer, name)[gate * HIDDEN + HIDDEN - 1] = 0
                layer.bias_hh_l0[gate * HIDDEN + HIDDEN - 1] = 0
                layer.bias_ih_l0[gate * HIDDEN + HIDDEN - 1] = bias
            self.output.weight[:, -1] = 0
            self.output.weight[EOS] = 0
            self.output.weight[EOS, -1] = 100.0
            self.output.bias[EOS] = 12 - 100 * torch.tensor(0.1 * LENGTH).tanh()

    def start(self, rows: int, *_: object, first: int = 0) -> State:  # type: ignore[override]
        h = self.images[None, first : first + rows]
        return super().start(rows, hidden=[(h, torch.zeros_like(h))])


class Partial(NamedTuple):
    """A partial caption: words, score, a state after its last word, its row in that state, and whether it has ended."""

    labels: tuple[int, ...]
    score: float
    state: State
    row: int
    ended: bool


@dataclass(frozen=True)
class Plain:
    """The peers: one image after another, with its partial captions in one batch (``batched``) or one at a time."""

    network: Captioner
    batched: bool
    beam: int

    @torch.inference_mode()
    def search(self, images: int) -> list[list[Hypothesis]]:
        return [self._image(number) for number in range(images)]

    def _image(self, number: int) -> list[Hypothesis]:
        beam = [Partial((), 0.0, self.network.start(1, first=number), 0, False)]
        while open_ := [partial for partial in beam if not partial.ended]:
            candidates = [partial for partial in beam if partial.ended]
            for group in [open_] if self.batched else [[partial] for partial in open_]:
                candidates += self._extend(group)
            beam = sorted(candidates, key=lambda partial: -partial.score)[: self.beam]
        return [Hypothesis(partial.labels[:-1], partial.score) for partial in beam]

    def _extend(self, group: Sequence[Partial]) -> list[Partial]:
        """Return the best captions that are one word longer than each of a group."""
        last = torch.tensor([partial.labels[-1] if partial.labels else BOS for partial in group])
        state = group[0].state
        if self.batched:
            state = self.network.select(state, torch.tensor([partial.row for partial in group]))
        log_probs, state = self.network.step(state, last)
        best = log_probs.topk(self.beam)
        return [
            Partial((*partial.labels, label), partial.score + log_prob, state, row, label == EOS)
            for row, partial in enumerate(group)
            for log_prob, label in zip(best.values[row].tolist(), best.indices[row].tolist(), strict=True)
        ]


def require_equal(ours: list[list[Hypothesis]], theirs: list[list[Hypothesis]], name: str) -> None:
    """Stop unless all captions are the same, with the same scores up to rounding."""
    for number, pair in enumerate(zip(ours, theirs, strict=True)):
        mine, other = ({hypothesis.labels: hypothesis.score for hypothesis in nbest} for nbest in pair)
        if mine.keys() != other.keys():
            raise SystemExit(f"image {number}: {name} finds other captions")
        if max(abs(score - other[labels]) for labels, score in mine.items()) > 1e-3:
            raise SystemExit(f"image {number}: {name} finds other scores")


def main() -> None:
    options = arguments(__doc__)
    torch.manual_seed(0)
    images = 16 if options.quick else 64
    network = Captioner(torch.randn(images, HIDDEN)).eval()
    report = Report()
    for beam in (20, 1):
        peers = {"caption by caption": Plain(network, False, beam), "image by image": Plain(network, True, beam)}

        def ours(beam: int = beam) -> list[list[Hypothesis]]:
            return search(network, images, BOS, EOS, LabelBeamOptions(beam=beam, nbest=beam))

        hypotheses = ours()
        lengths = [len(nbest[0].labels) for nbest in hypotheses]
        print(f"captions of {min(lengths)} to {max(lengths)} words, {sum(lengths) / images:.1f} on average")
        for name, plain in peers.items():

            def theirs(plain: Plain = plain) -> list[list[Hypothesis]]:
                return plain.search(images)

            require_equal(hypotheses, theirs(), name)
            seconds = medians(ours, theirs, repeats=3)
            report.add(f"{images} images, beam {beam}", *(1000 * s / images for s in seconds), name, "ms an image")
    report.write(options.json)


if __name__ == "__main__":
    main()
