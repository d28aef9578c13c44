"""Image captioning: Show and Tell (Vinyals et al. 2015), and Show, Attend and Tell (Xu et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from asr.decoding.label.beam import LabelBeamOptions
from asr.errors import InputError
from asr.modules.dropout import Dropout
from asr.modules.label_rnn import LabelRNN, State
from asr.modules.mobilenet import GRID_SIZE, MobileNetV2
from asr.registry import build
from asr.tasks.encoder_decoder import SEARCHES, EncoderDecoderTask
from asr.text.vocabulary import Vocabulary

IMAGE_ENCODERS = {"mobilenet_v2": MobileNetV2}
NETWORKS = {"label_rnn": LabelRNN}


class CaptioningTask(EncoderDecoderTask):
    """The label RNN is told the image once, in place of a label before the first one, and then writes its caption.

    What it is told is a linear layer of the mean of the encoder's grid, normalised (Vinyals et al. 2015, arXiv
    1411.4555, equations 10 to 12). If it has a memory (``attention`` in `from_config`) it also attends to the places of
    the grid, each through a linear layer and a rectifier (soft attention of Xu et al. 2015, arXiv 1502.03044).

    Args:
        encoder: of images; ``frozen``: its weights are not trained.
        image_size: pixels of the square that images are squashed to.
        image_dropout: of what the encoder writes.
    """

    groups = ("image_encoder", "label_rnn", "search")

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        network: LabelRNN,
        encoder: MobileNetV2,
        *,
        options: LabelBeamOptions | None = None,
        label_smoothing: float = 0.0,
        samples: int = 0,
        frozen: bool = True,
        image_size: int = 224,
        image_dropout: float = 0.0,
    ) -> None:
        super().__init__(vocabularies, network, options=options, label_smoothing=label_smoothing, samples=samples)
        if not isinstance(image_size, int) or image_size < 32:
            raise InputError(f"image_size={image_size!r}: a whole number of pixels from 32 is wanted")
        self.encoder = encoder.requires_grad_(not frozen)
        self.frozen = frozen
        self.image_size = image_size
        self.dropout = Dropout(image_dropout)
        # what rectifiers write is small and sparse beside the embeddings of labels
        self.normalization = nn.LayerNorm(GRID_SIZE)
        self.image = nn.Linear(GRID_SIZE, network.embedding.embedding_dim)
        self.places = None if network.key is None else nn.Linear(GRID_SIZE, network.key.in_features)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> CaptioningTask:
        """Build from the groups ``task``, ``image_encoder``, ``label_rnn`` and ``search`` of a configuration.

        ``image_encoder.weights`` is not read here: see `asr.training.jobs.captioning`.
        """
        options = {option: value for option, value in config["task"].items() if option not in ("heads", "attention")}
        encoder = {option: value for option, value in config["image_encoder"].items() if option != "weights"}
        network = build(
            NETWORKS,
            config["label_rnn"],
            "label_rnn",
            labels=len(next(iter(vocabularies.values()))),
            memory_size=config["label_rnn"].get("hidden_size", 512) if config["task"].get("attention") else None,
        )
        return build(
            {"captioning": cls},
            options,
            "task",
            vocabularies=vocabularies,
            network=network,
            encoder=build(IMAGE_ENCODERS, encoder, "image_encoder"),
            options=build(SEARCHES, config["search"], "search"),
        )

    def encode(self, inputs: Tensor) -> Tensor:
        """The encoder's grids (N, places, channels) of images (N, 3, S, S), RGB, uint8; grids stay as they are."""
        if inputs.ndim == 3:
            return inputs
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.encoder(inputs)

    def encode_state(self, inputs: Tensor, lengths: Tensor) -> State:
        """The state after images, or their grids as `encode` gives them (or the grids' mean alone, as one place).

        All places count, so ``lengths`` are not looked at.
        """
        grid = self.dropout(self.encode(inputs))
        told = self.image(self.normalization(grid.mean(1, keepdim=True)))
        if self.places is None:
            return self.network.feed_inputs(told, self.network.start(len(inputs)))
        begin = self.network.start(len(inputs), torch.relu(self.places(self.normalization(grid))))
        state = self.network.feed_inputs(told, begin)
        return replace(state, attended=begin.attended)  # what was attended to before the first label does not count


def common_encoder(tasks: Sequence[CaptioningTask]) -> Callable[[Tensor], Tensor]:
    """What makes of images what each of some tasks can read, without gradients.

    That is `CaptioningTask.encode`, if all have the same encoder; else nothing is done to the images.
    """
    first, *others = tasks
    same = all(first.encoder.equals(other.encoder) for other in others)
    return torch.inference_mode()(first.encode) if same else lambda images: images
