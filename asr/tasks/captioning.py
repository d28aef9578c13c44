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
from asr.tasks._builders import build_label_rnn, build_search, build_task
from asr.tasks.encoder_decoder import EncoderDecoderTask
from asr.text.vocabulary import Vocabulary

IMAGE_ENCODERS = {"mobilenet_v2": MobileNetV2}


class CaptioningTask(EncoderDecoderTask):
    """An image encoder, and a label RNN that reads the image once before the first label and generates its caption.

    The label RNN's first input is a linear layer of the normalized mean over the encoder's grid (Vinyals et al. 2015,
    arXiv 1411.4555, equations 10 to 12). With ``attention`` in `from_config` the label RNN also attends to a memory:
    the grid cells, each through a linear layer and a rectifier (soft attention of Xu et al. 2015, arXiv 1502.03044).

    Args:
        vocabularies: one, with the label <eos>.
        network: the label RNN.
        encoder: image encoder.
        options: default search options.
        label_smoothing: see `EncoderDecoderTask`.
        samples: see `EncoderDecoderTask`.
        frozen: the encoder is not trained.
        image_size: pixels of the square that images are resized to, 32 or more.
        image_dropout: probability, of the encoder's output, in training.

    Raises:
        InputError: as `EncoderDecoderTask`, or ``image_size`` is out of range.
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
            raise InputError(f"image_size={image_size!r}: use a whole number of pixels, 32 or more")
        self.encoder = encoder.requires_grad_(not frozen)
        self.frozen = frozen
        self.image_size = image_size
        self.dropout = Dropout(image_dropout)
        # outputs of rectifiers are small and sparse beside the embeddings of labels
        self.normalization = nn.LayerNorm(GRID_SIZE)
        self.image = nn.Linear(GRID_SIZE, network.embedding.embedding_dim)
        self.places = None if network.key is None else nn.Linear(GRID_SIZE, network.key.in_features)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> CaptioningTask:
        """Build from the groups ``task``, ``image_encoder``, ``label_rnn`` and ``search`` of a configuration.

        ``image_encoder.weights`` is not read here: see `asr.training.jobs.captioning`.

        Raises:
            InputError: a setting is wrong; the message names it.
        """
        encoder_options = {name: value for name, value in config["image_encoder"].items() if name != "weights"}
        memory_size = config["label_rnn"].get("hidden_size", 512) if config["task"].get("attention") else None
        return build_task(
            cls,
            config,
            vocabularies,
            exclude=("attention",),
            network=build_label_rnn(config, len(next(iter(vocabularies.values()))), memory_size),
            encoder=build(IMAGE_ENCODERS, encoder_options, "image_encoder"),
            options=build_search(config),
        )

    def encode(self, inputs: Tensor) -> Tensor:
        """Compute the encoder's grids (N, S, `GRID_SIZE`) of images (N, 3, H, W), RGB, uint8; grids stay as they are.

        S is the number of grid cells.
        """
        if inputs.ndim == 3:
            return inputs
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.encoder(inputs)

    def encode_state(self, inputs: Tensor, lengths: Tensor) -> State:
        """Return the label RNN's state after it has read the images.

        Args:
            inputs: images (N, 3, H, W), their grids (N, S, `GRID_SIZE`), or the mean of a grid as its only cell.
            lengths: ignored, as every grid is complete.
        """
        grid = self.dropout(self.encode(inputs))
        image = self.image(self.normalization(grid.mean(1, keepdim=True)))  # (N, 1, E)
        if self.places is None:
            return self.network.feed_inputs(image, self.network.start(len(inputs)))
        begin = self.network.start(len(inputs), torch.relu(self.places(self.normalization(grid))))
        state = self.network.feed_inputs(image, begin)
        return replace(state, attended=begin.attended)  # attention before the first label does not count for coverage


def common_encoder(tasks: Sequence[CaptioningTask]) -> Callable[[Tensor], Tensor]:
    """Return a function that prepares images (N, 3, H, W) for all tasks of an ensemble, without gradients.

    It is `CaptioningTask.encode`, so that images are encoded once, if all tasks have the same encoder; otherwise it
    returns the images.
    """
    first, *others = tasks
    same = all(first.encoder.equals(other.encoder) for other in others)
    return torch.inference_mode()(first.encode) if same else lambda images: images
