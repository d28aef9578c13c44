"""Speech recognition by a transducer (Graves 2012; Graves, Mohamed & Hinton 2013, section 3.2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from asr.data.batch import SpeechBatch, Targets
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.transducer import greedy
from asr.errors import InputError
from asr.features import Extractor
from asr.modules.cells import CellState
from asr.modules.cells.initialization import initialize_feedforward
from asr.modules.encoder import Encoder
from asr.modules.label_rnn import LabelRNN
from asr.modules.transducer_head import TransducerHead, joint_size
from asr.tasks._builders import build_label_rnn, build_task
from asr.tasks.base import Loss, Task, Validation
from asr.tasks.language import LanguageTask
from asr.tasks.recognition import RecognitionTask, needs_whole_recordings, with_silence
from asr.tasks.speech_frontend import build_speech_frontend
from asr.text.vocabulary import BLANK, Vocabulary

log = logging.getLogger(__name__)


class TransducerTask(RecognitionTask):
    """Features, augmentation (in training), encoder, prediction network and output network.

    Unlike CTC's, the distribution of a frame's label depends on the labels before it, and a frame may emit several.

    Args:
        features: feature extractor.
        encoder: of its features.
        vocabularies: one, with a blank.
        prediction: the prediction network, whose outputs have the size `asr.modules.transducer_head.joint_size`.
        output_network: "tanh" or "additive", see `asr.modules.transducer_head.TransducerHead`.
        augmentation: see `SpeechTask`.

    Raises:
        InputError: there is not exactly one vocabulary, or an option is out of range.
    """

    groups: ClassVar[tuple[str, ...]] = ("features", "encoder", "label_rnn")
    parts = ("encoder", "prediction")

    def __init__(
        self,
        features: Extractor,
        encoder: Encoder,
        vocabularies: Mapping[str, Vocabulary],
        prediction: LabelRNN,
        *,
        output_network: str = "tanh",
        augmentation: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__(features, encoder, vocabularies, augmentation)
        check_single(vocabularies)
        size, blank = len(self.vocabulary), self.vocabulary.blank
        self.head = TransducerHead(encoder.output_size, prediction, size, blank, output_network=output_network)
        initialize_feedforward(encoder.init, self.head.projection, self.head.output)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> TransducerTask:
        """Build from the groups ``task``, ``features``, ``encoder``, ``augmentation`` and ``label_rnn``.

        Raises:
            InputError: a setting is wrong; the message names it.
        """
        check_single(vocabularies)
        options = config["task"]
        labels = len(next(iter(vocabularies.values())))
        outputs = joint_size(options.get("output_network", "tanh"), labels, options.get("joint_size", 250))
        return build_task(
            cls,
            config,
            vocabularies,
            exclude=("joint_size",),
            prediction=build_label_rnn(config, labels, outputs=outputs),
            **build_speech_frontend(config),
        )

    def weights_of_part(self, part: str, model: Task, where: str) -> dict[str, Tensor]:
        """See `Task.weights_of_part`: the encoder of a recognizer, or the prediction network of a language model.

        Of a language model all is taken but its output layer. Its <eos>, after which a text begins, becomes the blank,
        which stands for the begin here; labels that it lacks keep their embedding.
        """
        if part == "encoder":
            return super().weights_of_part(part, model, where)
        if not isinstance(model, LanguageTask):
            raise InputError(f"{where}: a language model is needed, whose label RNN predicts the next label")
        state = {f"head.prediction.{name}": value for name, value in model.network.state_dict().items()}
        state = {name: value for name, value in state.items() if not name.startswith("head.prediction.output.")}
        embedding = "head.prediction.embedding.weight"
        if state[embedding].shape[1] == self.state_dict()[embedding].shape[1]:  # else the shapes are refused
            known = {token: label for label, token in enumerate(model.vocabulary.tokens)} | {BLANK: model.eos}
            rows = [known.get(token) for token in self.vocabulary.tokens]
            missing = [token for token, row in zip(self.vocabulary.tokens, rows, strict=True) if row is None]
            if len(missing) == len(rows) - 1:
                raise InputError(
                    f"{where}: none of the labels {', '.join(map(repr, missing[:5]))} is one of the model's"
                )
            if missing:
                log.warning("%s: %d labels are not in the model: %s", where, len(missing), ", ".join(missing[:5]))
            own = self.state_dict()[embedding].clone()
            for label, row in enumerate(rows):
                if row is not None:
                    own[label] = state[embedding][row]
            state[embedding] = own
        return state

    @property
    def transducer(self) -> TransducerHead:
        """The networks that a search runs besides reading the output frames."""
        return self.head

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        heads: Sequence[str] | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the frames that a search reads; outside training the blank is certain in those without any signal.

        Such frames are cut out of what the encoder reads, see `asr.tasks.ctc.CTCTask.forward`.

        Args:
            inputs: (N, S) waveforms or (N, T, D) features, padded.
            lengths: (N,) samples or frames of each utterance.
            heads: without effect: there is one.

        Returns:
            Frames (N, T', O + 1) float32 of `TransducerHead` by head, and lengths (N,) in output frames.

        Raises:
            InputError: as `Extractor.forward`.
        """
        silent = self.silent_frames(inputs, lengths)
        x, counts = self.encode(inputs, lengths, silent)
        frames = self.head(x)
        if silent is not None:
            frames, counts = with_silence(frames, silent, self.head.silence()), self.output_lengths(lengths)
        return {self.primary: frames}, counts

    def encode(
        self,
        inputs: Tensor,
        lengths: Tensor,
        silent: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Compute encoder outputs (N, T', H) and their lengths (N,), augmented in training mode.

        Args:
            inputs: see `forward`.
            lengths: see `forward`.
            silent: output frames (N, T') that the encoder does not see; None: none.
        """
        x, lengths = self.input_frames(inputs, lengths)
        x, lengths = self.encoder(*self.without_silence(x, lengths, silent))
        return x, lengths

    @property
    def looks_ahead(self) -> bool:
        """Whether an output frame depends on all that follows."""
        return needs_whole_recordings(self)

    def advance(self, x: Tensor, states: Sequence[CellState] | None, head: str) -> tuple[Tensor, Sequence[CellState]]:
        """Compute the next output frames; see `RecognitionTask.advance`."""
        y, states = self.encoder.rnn.advance(x, states)
        return self.head(y), states

    def silent_frame(self, head: str) -> Tensor:
        """Return the frame (O + 1,) of a certain blank."""
        return self.head.silence()

    def training_loss(self, batch: SpeechBatch) -> Loss:
        """Compute `loss`; labels have to lie within the utterance, see `asr.tasks.ctc.CTCTask.training_loss`."""
        x, lengths = self.encode(batch.inputs, batch.lengths)
        silent = self.padded_frames(batch, lengths, x.shape[1])
        loss, skipped = self.loss(x, lengths, batch.targets[self.primary], silent)
        return Loss(loss, skipped=skipped)

    def loss(self, x: Tensor, lengths: Tensor, targets: Targets, silent: Tensor | None = None) -> tuple[Tensor, int]:
        """Compute the negative log-likelihood, summed over all alignments.

        Args:
            x: encoder outputs (N, T', H).
            lengths: (N,) output frames.
            targets: label sequences of some utterances of the batch.
            silent: frames (N, T') in which no label may be emitted; None: none.

        Returns:
            The loss (scalar float32) in nats per label, and the number of label sequences left out, as no frame may
            emit them.
        """
        if not len(targets.rows):
            return x.new_zeros((), dtype=torch.float32), 0
        rows, labels = targets.rows, targets.labels.split(targets.lengths.tolist())
        may_emit = None if silent is None else ~silent[rows]
        nll = self.head.loss(x[rows], lengths.to(rows.device)[rows], labels, may_emit)
        possible = nll < torch.inf
        total = torch.where(possible, nll, 0).sum()
        return total / targets.lengths.sum().clamp(min=1), int((~possible).sum())

    def validation_step(self, batch: SpeechBatch) -> Validation:
        """Compute the loss and the result of greedy search."""
        silent = self.silent_frames(batch.inputs, batch.lengths)
        x, lengths = self.encode(batch.inputs, batch.lengths, silent=silent)
        loss, _ = self.loss(x, lengths, batch.targets[self.primary])
        return Validation({"dev_loss": (loss, len(batch.ids))}, {self.primary: self.hypotheses(self.head(x), lengths)})

    def hypotheses(self, frames: Tensor, lengths: Tensor) -> list[Hypothesis]:
        """Return the result of greedy search of each utterance, from frames (N, T', O + 1) and ``lengths`` (N,)."""
        return greedy.search(self.head, frames.detach(), lengths.cpu().numpy())


def check_single(vocabularies: Mapping[str, Vocabulary]) -> None:
    """Raise InputError unless there is one vocabulary."""
    if len(vocabularies) != 1:
        raise InputError(f"a transducer has one head, not {len(vocabularies)} ({', '.join(vocabularies) or 'none'})")
