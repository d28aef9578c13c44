"""Prediction network and output network of a transducer (Graves 2012; Graves, Mohamed & Hinton 2013, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asr.modules.cells import check_sizes
from asr.modules.label_rnn import LabelRNN, State
from asr.modules.transducer_loss import transducer_loss
from asr.utils.options import check_choice

OUTPUT_NETWORKS = ("tanh", "additive")

# Added to the logit of blank in a frame without any signal: labels have less probability there than any model adds.
SILENCE_LOGIT = 100.0


def joint_size(output_network: str, labels: int, units: int) -> int:
    """Return how many numbers the encoder and the prediction network each give the output network.

    Args:
        output_network: see `TransducerHead`.
        labels: number of labels.
        units: of the tanh layer.

    Raises:
        InputError: another output network, or a size that is not a positive integer.
    """
    check_choice("output_network", output_network, OUTPUT_NETWORKS)
    check_sizes(joint_size=units)
    return units if output_network == "tanh" else labels


class TransducerHead(nn.Module):
    """What a transducer has above its encoder: a distribution over labels for each frame and label sequence.

    The prediction network reads the labels emitted so far, the blank standing for their begin. Its outputs and those of
    the encoder are vectors of one size O. The output network makes logits of a pair of them:

    - ``"tanh"`` (Graves et al. 2013, equations 22 and 23): tanh of their sum, then a linear layer to the labels;
    - ``"additive"`` (Graves 2012, equation 12): their sum; O is the number of labels.

    Where search and training meet it, an encoder's *frame* has O + 1 numbers: its vector, and what is added to the
    logit of the blank, which is 0 but where there is no signal.

    Args:
        inputs: size of an encoder output.
        prediction: the prediction network, whose outputs have the size `joint_size`.
        labels: number V of labels, the blank included.
        blank: index of the blank.
        output_network: see above.

    Raises:
        InputError: another output network.
    """

    def __init__(
        self, inputs: int, prediction: LabelRNN, labels: int, blank: int = 0, *, output_network: str = "tanh"
    ) -> None:
        super().__init__()
        check_choice("output_network", output_network, OUTPUT_NETWORKS)
        self.labels = labels
        self.blank = blank
        self.size = prediction.output.out_features
        self.projection = nn.Linear(inputs, self.size)
        self.prediction = prediction
        self.output = nn.Linear(self.size, labels) if output_network == "tanh" else None

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.projection.weight.device

    def forward(self, x: Tensor) -> Tensor:
        """Map encoder outputs (…, H) to frames (…, O + 1) float32."""
        projected = self.projection(x).float()
        return torch.cat([projected, torch.zeros_like(projected[..., :1])], -1)

    def silence(self) -> Tensor:
        """Return the frame (O + 1,) in which the blank is certain."""
        frame = torch.zeros(self.size + 1, device=self.device)
        frame[-1] = SILENCE_LOGIT
        return frame

    def logits(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        """Return logits (…, V) of vectors (…, O) of the encoder and the prediction network, which are broadcast."""
        total = encoded + predicted
        return total if self.output is None else self.output(total.tanh())

    def log_probs(self, frames: Tensor, predicted: Tensor) -> Tensor:
        """Return log-probabilities (…, V) float32 of frames (…, O + 1) with outputs (…, O), which are broadcast."""
        logits = self.logits(frames[..., :-1], predicted).float()
        logits[..., self.blank] += frames[..., -1]
        return logits.log_softmax(-1)

    def start(self, rows: int) -> tuple[Tensor, Tensor]:
        """Read the begin of R label sequences: the outputs (R, O) and the states (R, S) of the prediction network."""
        begin = torch.full((rows, 1), self.blank, device=self.device)
        return self._read(begin, self.prediction.start(rows))

    def step(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Read one more label of each sequence.

        Args:
            states: (R, S) before it.
            labels: (R,) int64.

        Returns:
            Outputs (R, O) of the prediction network, and its states (R, S).
        """
        return self._read(labels[:, None], self.prediction.unpack(states))

    def _read(self, labels: Tensor, state: State) -> tuple[Tensor, Tensor]:
        outputs, state = self.prediction.outputs(labels, state)
        return outputs[:, 0].float(), self.prediction.pack(state)

    def predict(self, labels: Tensor) -> Tensor:
        """Return the outputs (N, U + 1, O) float32 before each of ``labels`` (N, U), and after all."""
        begin = labels.new_full((len(labels), 1), self.blank)
        read = torch.cat([begin, labels], 1)
        return self.prediction.outputs(read, self.prediction.start(len(labels)))[0].float()

    def loss(
        self,
        x: Tensor,
        lengths: Tensor,
        labels: Sequence[Tensor],
        may_emit: Tensor | None = None,
    ) -> Tensor:
        """Compute the negative log-likelihood of label sequences, see `asr.modules.transducer_loss.transducer_loss`.

        Args:
            x: (N, T, H) encoder outputs.
            lengths: (N,) frames of each utterance.
            labels: the N label sequences.
            may_emit: (N, T) frames in which labels may be emitted; None: all.

        Returns:
            (N,) natural logs, infinite where no alignment is possible.
        """
        padded = nn.utils.rnn.pad_sequence(list(labels), batch_first=True, padding_value=(self.blank + 1) % self.labels)
        return transducer_loss(
            _Outer(self),
            self.projection(x).float(),
            self.predict(padded),
            padded,
            lengths,
            torch.tensor([len(row) for row in labels]),
            parameters=[] if self.output is None else list(self.output.parameters()),
            width=self.size,
            blank=self.blank,
            may_emit=may_emit,
        )


class _Outer:
    """The output network for all pairs of some frames (C, O) and some outputs (U + 1, O)."""

    def __init__(self, head: TransducerHead) -> None:
        self.head = head

    def __call__(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        return self.head.logits(encoded[:, None], predicted[None])
