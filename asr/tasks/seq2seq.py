"""One label sequence from another: spelling to pronunciation, a date to another form of it (Sutskever et al. 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from asr.decoding.label.beam import LabelBeamOptions
from asr.errors import InputError
from asr.modules.encoder import Encoder
from asr.modules.label_rnn import LabelRNN, State
from asr.modules.pooling import Pooling
from asr.registry import build
from asr.tasks.encoder_decoder import SEARCHES, EncoderDecoderTask
from asr.text.vocabulary import Vocabulary

ENCODERS = {"rnn": Encoder}
NETWORKS = {"label_rnn": LabelRNN}


class Seq2SeqTask(EncoderDecoderTask):
    """An encoder RNN reads labels of one vocabulary, the label RNN writes those of another.

    Where the encoder ends (each of its directions) decides how the label RNN begins: a linear layer and tanh give its
    first hidden vectors (Sutskever et al. 2014, arXiv 1409.3215). If the label RNN has a memory (``attention`` in
    `from_config`) it attends to all that the encoder wrote as well (Bahdanau et al. 2015, arXiv 1409.0473).

    ``vocabularies``: what is written, what is read.
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
        self.ends = Pooling("last", encoder.output_size, encoder.bidirectional)
        self.bridge = nn.Linear(encoder.output_size, network.state_size)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> Seq2SeqTask:
        """Build from the groups ``task``, ``encoder``, ``label_rnn`` and ``search`` of a configuration."""
        if len(vocabularies) != 2:
            raise InputError(
                f"a seq2seq model has two heads, what it writes and what it reads, not {len(vocabularies)}"
            )
        options = {option: value for option, value in config["task"].items() if option not in ("heads", "attention")}
        source_size = options.setdefault("source_size", 64)
        encoder = build(ENCODERS, config["encoder"], "encoder", input_size=source_size)
        network = build(
            NETWORKS,
            config["label_rnn"],
            "label_rnn",
            labels=len(next(iter(vocabularies.values()))),
            memory_size=encoder.output_size if config["task"].get("attention", True) else None,
        )
        return build(
            {"seq2seq": cls},
            options,
            "task",
            vocabularies=vocabularies,
            network=network,
            encoder=encoder,
            options=build(SEARCHES, config["search"], "search"),
        )

    def encode_state(self, inputs: Tensor, lengths: Tensor) -> State:
        """Return the label RNN's initial state for source labels (N, S), padded, of ``lengths`` (N,)."""
        encoded, lengths = self.encoder(self.embedding(inputs), lengths)
        hidden = self.network.hidden(torch.tanh(self.bridge(self.ends(encoded, lengths))))
        if self.network.key is None:
            return self.network.start(len(inputs), hidden=hidden)
        return self.network.start(len(inputs), encoded, lengths, hidden)
