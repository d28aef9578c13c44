"""Map a label sequence to another: spelling to pronunciation, a date to ISO format (Sutskever et al. 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from asr.decoding.label.beam import LabelBeamOptions
from asr.errors import InputError
from asr.modules.cells.initialization import initialize_feedforward
from asr.modules.encoder import Encoder
from asr.modules.label_rnn import LabelRNN, State
from asr.modules.pooling import Pooling
from asr.tasks._builders import build_encoder, build_label_rnn, build_search, build_task
from asr.tasks.encoder_decoder import EncoderDecoderTask
from asr.text.vocabulary import Vocabulary


class Seq2SeqTask(EncoderDecoderTask):
    """An encoder RNN reads the source labels; the label RNN generates the target labels.

    The encoder's last outputs (of each direction) determine the label RNN's initial state by a linear layer and tanh
    (Sutskever et al. 2014, arXiv 1409.3215). With ``attention`` in `from_config` the label RNN has a memory and attends
    to all encoder outputs too (Bahdanau et al. 2015, arXiv 1409.0473).

    Args:
        vocabularies: two, of the target (with the label <eos>) and of the source.
        network: the label RNN; its ``memory_size`` is None or ``encoder.output_size``.
        encoder: of vectors of ``source_size``.
        options: default search options.
        source_size: elements of a source label's embedding, 1 or more.
        label_smoothing: see `EncoderDecoderTask`.
        samples: see `EncoderDecoderTask`.

    Attributes:
        source: vocabulary of the source.

    Raises:
        InputError: as `EncoderDecoderTask`.
    """

    groups = ("encoder", "label_rnn", "search")

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        network: LabelRNN,
        encoder: Encoder,
        *,
        options: LabelBeamOptions | None = None,
        source_size: int = 64,
        label_smoothing: float = 0.0,
        samples: int = 0,
    ) -> None:
        super().__init__(vocabularies, network, options=options, label_smoothing=label_smoothing, samples=samples)
        self.source = list(self.vocabularies.values())[1]
        self.embedding = nn.Embedding(len(self.source), source_size)
        self.encoder = encoder
        self.ends = Pooling("last", encoder.output_size, encoder.rnn.concatenates)
        self.bridge = nn.Linear(encoder.output_size, network.state_size)
        initialize_feedforward(encoder.init, self.embedding, self.bridge)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> Seq2SeqTask:
        """Build from the groups ``task``, ``encoder``, ``label_rnn`` and ``search`` of a configuration.

        Raises:
            InputError: there are not two vocabularies, or a setting is wrong.
        """
        if len(vocabularies) != 2:
            raise InputError(f"a seq2seq model has two heads, the target and the source, not {len(vocabularies)}")
        encoder = build_encoder(config, config["task"].get("source_size", 64))
        memory_size = encoder.output_size if config["task"].get("attention", True) else None
        labels = len(next(iter(vocabularies.values())))
        return build_task(
            cls,
            config,
            vocabularies,
            exclude=("attention",),
            network=build_label_rnn(config, labels, memory_size),
            encoder=encoder,
            options=build_search(config),
        )

    def encode_state(self, inputs: Tensor, lengths: Tensor) -> State:
        """Return the label RNN's initial state for source labels (N, S), padded, of ``lengths`` (N,)."""
        encoded, lengths = self.encoder(self.embedding(inputs), lengths)  # (N, S', H)
        hidden = self.network.hidden(torch.tanh(self.bridge(self.ends(encoded, lengths))))
        if self.network.key is None:
            return self.network.start(len(inputs), hidden=hidden)
        return self.network.start(len(inputs), encoded, lengths, hidden)
