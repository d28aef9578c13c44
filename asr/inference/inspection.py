"""Look inside a recognizer while it reads one recording: the arrays that `asr plot` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asr.data.batch import Targets
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.transducer.alignment import align, score_pairs
from asr.errors import InputError
from asr.inference.decoders.factory import make_aligner
from asr.inference.inputs import Recording, describe_source, read_blocks
from asr.inference.recognizer import Recognizer
from asr.models import decoder_files
from asr.models import directory as directory_module
from asr.modules.cells.watch import layer_activations, step_gradients
from asr.tasks.ctc import CTCTask
from asr.tasks.recognition import RecognitionTask
from asr.tasks.transducer import TransducerTask
from asr.text.vocabulary import Vocabulary
from asr.utils.options import check_choice

MAX_SECONDS = 60.0  # of a recording in a picture; longer ones are also cut into windows


@dataclass(frozen=True)
class Lattice:
    """The way of a transducer through a recording.

    Attributes:
        labels: the U labels of the path.
        places: (U,) frame in which each is emitted.
        emissions: (T, U) probability of each label in each frame, after the labels before it.
    """

    labels: Sequence[str]
    places: np.ndarray
    emissions: np.ndarray


@dataclass(frozen=True)
class Sensitivity:
    """How an output depends on the input.

    Attributes:
        label: the label whose log-probability is looked at.
        seconds: when it is.
        gradient: (T, F) its derivative by the features.
    """

    label: str
    seconds: float
    gradient: np.ndarray


class Inspection:
    """One recording as a recognizer reads it, from the waveform to the words.

    Args:
        recognizer: on the CPU.
        source: the recording, at most `MAX_SECONDS`.
        text: what is spoken; None: what is recognized counts.
        lexicon: pronunciation dictionary, for the text and a head of phones.
        pronouncer: see `Recognizer.align`.

    Raises:
        InputError: the recording cannot be read or is too long, or the text cannot be aligned.

    Attributes:
        task: the network.
        head: the head that is looked at.
        transcript: the words with their times.
        inputs: (1, S) waveform, or (1, T, F) features for a model that reads such.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        source: Recording,
        text: str | None = None,
        lexicon: str | None = None,
        pronouncer: str | None = None,
    ) -> None:
        self.task, self.head = recognizer.task, recognizer.head
        self.recognizer = recognizer
        pieces = []
        for block in read_blocks(source, self.task.features):  # a long one is refused before all of it is read
            pieces.append(block)
            if sum(map(len, pieces)) > MAX_SECONDS * self.rate:
                raise InputError(
                    f"{describe_source(source)}: longer than {MAX_SECONDS:.0f} s, which fill a picture; choose a part "
                    "by --start and --duration"
                )
        self.inputs = torch.from_numpy(np.concatenate(pieces))[None]
        self.lengths = torch.tensor([self.inputs.shape[1]])
        if text is None:
            self.transcript = recognizer.transcribe(self.inputs[0].numpy())
        else:
            self.transcript = recognizer.align(
                self.inputs[0].numpy(), text, head=self.head, lexicon=lexicon, pronouncer=pronouncer
            )
            aligner = make_aligner(self.vocabulary, text, lexicon, pronouncer, self.task.transducer)
            self.recognizer = Recognizer(self.task, head=self.head, decoder=aligner)

    @classmethod
    def load(cls, model: str | Path, source: Recording, text: str | None = None, head: str | None = None) -> Inspection:
        """Load a recognizer and have it read a recording.

        Args:
            model: as in `Recognizer.load`.
            source: the recording.
            text: what is spoken; None: what is recognized counts.
            head: the head that is looked at; None: the one that the model decodes.

        Raises:
            InputError: as `Recognizer.load` and `Inspection`.
        """
        directory = directory_module.find(model)
        recognizer = Recognizer.load(directory, head=head)
        _, own = decoder_files.decoder_config(directory, None, head)
        is_phones = recognizer.task.vocabularies[recognizer.head].kind == "phones"
        if head is None and text is not None and not is_phones:
            head = recognizer.task.alignment_head
            recognizer = Recognizer.load(directory, head=head)
        files = {key: own.get(key) for key in ("lexicon", "pronouncer") if is_phones}
        return cls(recognizer, source, text, **files)

    @property
    def vocabulary(self) -> Vocabulary:
        """Vocabulary of the head."""
        return self.task.vocabularies[self.head]

    @property
    def rate(self) -> float:
        """Samples, or feature frames, in a second of the input."""
        return self.task.features.sample_rate or 1 / self.task.features.frame_seconds

    @property
    def seconds(self) -> float:
        """Duration of the recording."""
        return int(self.lengths[0]) / self.rate

    @property
    def frame_seconds(self) -> float:
        """Seconds from one output frame to the next."""
        return self.task.frame_seconds

    @cached_property
    def outputs(self) -> Tensor:
        """Output frames (T', D), as a search reads them."""
        with torch.inference_mode():
            frames, _ = self.task(self.inputs, self.lengths, [self.head])
        return frames[self.head][0]

    @cached_property
    def hypothesis(self) -> Hypothesis:
        """The labels of the text, or else those that are recognized."""
        frames = self.outputs[None].numpy()
        return self.recognizer.decoder.search(frames, np.array([frames.shape[1]]))[0][0]

    @cached_property
    def labels(self) -> list[int]:
        """The labels of the text, or else those that are recognized; without words that cannot be written."""
        return [label for label in self.hypothesis.labels if label < len(self.vocabulary)]

    def names(self, labels: Sequence[int]) -> list[str]:
        """Return labels as a picture shows them."""
        shown = {" ": "␣", **({self.vocabulary.tokens[self.vocabulary.blank]: "blank"})}
        tokens = self.vocabulary.tokens
        return [shown.get(tokens[label], tokens[label].replace("▁", "") or "␣") for label in labels]

    @cached_property
    def features(self) -> Tensor:
        """Features (1, T, F), as the encoder reads them."""
        task = self.task
        if not isinstance(task, RecognitionTask):
            raise InputError("a network without features of its own, such as one of asr export, cannot be looked into")
        return task.input_frames(self.inputs, self.lengths)[0]

    def lattice(self) -> Lattice:
        """Return the most probable path of a transducer through the recording."""
        network = self.task.transducer
        assert network is not None
        sequence = np.asarray(self.labels, dtype=np.int64)
        with torch.inference_mode():
            places, _ = align(network, self.outputs, self.labels)
            predicted = network.predict(torch.from_numpy(sequence)[None])[0]
            _, emissions = score_pairs(network, self.outputs, predicted, sequence)
        return Lattice(self.names(self.labels), places, np.exp(emissions))

    def log_probs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log-probabilities of labels from features; silent frames are not cut out here.

        Args:
            x: (1, T, F).

        Returns:
            Log-probabilities (T', V), for a transducer after the labels that its path has emitted before each frame;
            and the loss of the labels, in nats per label.

        Raises:
            InputError: the network is not one of ours, or there are more labels than frames.
        """
        task, lengths = self.task, torch.tensor([x.shape[1]])
        targets = Targets.of([self.labels])
        if isinstance(task, CTCTask):
            scores, frames = task.score_features(x, lengths, [self.head])
            loss, skipped = task.loss(scores, frames, {self.head: targets})
            log_probs = scores[self.head][0]
        elif isinstance(task, TransducerTask):
            encoded, frames = task.encoder(x, lengths)
            loss, skipped = task.loss(encoded, frames, targets)
            reached = torch.from_numpy(np.searchsorted(self.lattice().places, np.arange(encoded.shape[1])))
            predicted = task.head.predict(torch.tensor([self.labels], dtype=torch.long))[0]
            log_probs = task.head.log_probs(task.head(encoded)[0], predicted[reached])
        else:
            raise InputError("a network of another program, or one of asr export, cannot be looked into")
        if skipped:
            raise InputError(f"the text has {len(self.labels)} labels, too many for {self.seconds:.1f} s")
        return log_probs, loss

    def sensitivity(self, label: str | None = None, at: float | None = None) -> Sensitivity:
        """Compute the derivative of a label's log-probability by the features (Graves et al. 2013, figure 3).

        Args:
            label: as the vocabulary or a picture spells it; None: the most probable one but the blank.
            at: seconds; None: where the label is most probable, or without a label the peak nearest to the middle.

        Raises:
            InputError: the label is unknown, or the time is not in the recording.
        """
        x = self.features.detach().clone().requires_grad_()
        log_probs, _ = self.log_probs(x)  # (T', V)
        free = log_probs.detach().clone()
        free[:, self.vocabulary.blank] = -torch.inf
        if at is not None and not 0 <= at < self.seconds:
            raise InputError(f"--at {at:g}: the recording has {self.seconds:.2f} s")
        frame = None if at is None else min(int(at / self.frame_seconds), len(free) - 1)
        if label is not None:
            number = self.number_of(label)
            frame = int(free[:, number].argmax()) if frame is None else frame
        else:
            best = free.max(-1).values
            if frame is None:
                spikes = np.flatnonzero((log_probs.argmax(-1) != self.vocabulary.blank).numpy())
                middle = len(free) / 2
                frame = int(min(spikes, key=lambda t: abs(t - middle))) if len(spikes) else int(best.argmax())
            number = int(free[frame].argmax())
        (gradient,) = torch.autograd.grad(log_probs[frame, number], x)
        seconds = (frame + 0.5) * self.frame_seconds
        return Sensitivity(self.names([number])[0], seconds, gradient[0].numpy())

    def number_of(self, label: str) -> int:
        """Return the number of a label; InputError for one that the vocabulary lacks."""
        tokens = list(self.vocabulary.tokens)
        if label in tokens:
            return tokens.index(label)
        names = self.names(range(len(tokens)))
        check_choice("label", label, [name for n, name in enumerate(names) if n != self.vocabulary.blank])
        return names.index(label)

    def gates(self, layer: int, *, backward: bool = False) -> dict[str, np.ndarray]:
        """Return gates, candidate, cell and output of a layer of the encoder, in the order of time.

        Args:
            layer: from 1, the lowest.
            backward: of the direction that reads from the end.

        Returns:
            Arrays (T', H) by name.

        Raises:
            InputError: there is no such layer, or no such direction.
        """
        x = self.features
        rnn = self.task.encoder.rnn
        layers = rnn.backwards if backward else rnn.forwards
        if not 1 <= layer <= len(layers):
            accepted = f"1 to {len(layers)}" if len(layers) else "this encoder reads in one direction only"
            raise InputError(f"layer {layer}{' backward' if backward else ''}: {accepted}")
        name = f"encoder.rnn.{'backwards' if backward else 'forwards'}.{layer - 1}"
        found = layer_activations(self.task, name, lambda: self.log_probs(x))
        return {key: (v.flip(0) if backward else v)[:, 0].numpy() for key, v in found.items()}

    def gradients(self) -> Mapping[str, np.ndarray]:
        """Return the norm of ∂loss/∂h by step, in the order of time, of each layer of the encoder by its title.

        Raises:
            InputError: nothing is recognized and no text is given, or as `log_probs`.
        """
        if not self.labels:
            raise InputError("nothing is recognized here: give the text, whose loss is looked at")
        x = self.features
        norms = step_gradients(self.task, lambda: self.log_probs(x)[1])
        found = {}
        for name, values in norms.items():
            *_, direction, number = name.split(".")
            if name.startswith("encoder."):
                values = values.flip(0) if direction == "backwards" else values
                found[f"layer {int(number) + 1}, {direction[:-1]}"] = values[:, 0].numpy()
        return found
