"""Speech recognition by connectionist temporal classification (CTC; Graves et al. 2006), without an alignment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from asr.data.batch import SpeechBatch, Targets
from asr.decoding.ctc import greedy
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.features import Extractor
from asr.features.specaugment import warp_frequency
from asr.modules.cells import CellState
from asr.modules.cells.initialization import initialize_feedforward
from asr.modules.ctc_crf import LabelTrigram, check_crf, log_partition
from asr.modules.ctc_head import CTCHead
from asr.modules.encoder import Encoder
from asr.tasks._builders import build_task
from asr.tasks.base import Loss, Validation
from asr.tasks.recognition import RecognitionTask, needs_whole_recordings, with_silence
from asr.tasks.speech_frontend import build_speech_frontend
from asr.text.vocabulary import Vocabulary

# Of labels other than blank where there is no signal: less than what any search adds to a word.
SILENCE_LOG_PROB = -100.0
LOWEST_WARP, HIGHEST_WARP = 0.75, 1.25


class CTCTask(RecognitionTask):
    """Features, augmentation (in training), encoder, and a linear layer of labels for each head.

    Several heads share one encoder, for characters and phones say. The first one is the primary: its labels become text
    unless another head is chosen.

    Self-conditioning (Nozaki & Komatsu 2021, arXiv 2104.02724): the heads also score the outputs of the layers named in
    ``self_condition``. Their posteriors, through a linear layer, are added to the input of the next layer. So the upper
    layers see which labels the lower ones find around a frame, although the labels of CTC are independent of each other
    given the input. In training, the mean loss of those layers has the share ``self_condition_weight`` of the whole.

    Consistency (Yao et al. 2025, CR-CTC, arXiv 2410.05101, section 3): a training batch is encoded as two views that
    differ by masks and dropout but not by timing. ``consistency`` times the divergence of each view's scores from the
    other's is added to the loss. A batch then takes twice the work.

    CTC-CRF (Xiang & Ou 2019): ``crf`` times the log of the sum over all label sequences is added to the loss of the
    last layer, see `asr.modules.ctc_crf`. A training job puts the label trigrams into `label_models`, and into
    `further_losses` what else is added to the loss, of a batch and its scores.

    Warped views: outside training, an utterance is encoded once for each of ``warps``, with its bands moved by that
    factor as `SpectrogramWarp` moves them in training (the vocal-tract lengths of other speakers), and the
    log-probabilities are the normalized mean over these views. Two views take twice the work of one.

    Args:
        features: feature extractor.
        encoder: of its features.
        vocabularies: by head, the primary one first; each with a blank.
        weights: share of each head in the loss, 0 or more; 1 by default.
        augmentation: see `SpeechTask`; those that change the time come first, so that views have the same timing.
        self_condition: layers whose scores are fed back, counted from 1, the lowest; the last layer is not one of them.
        self_condition_weight: 0 to below 1.
        blank_penalties: of each head, in nats per frame, see `CTCHead`; 0 by default.
        consistency: 0 (off) or more; the paper uses 0.2.
        crf: of each head, from 0 (CTC) to 1 (CTC-CRF); 0 by default. The paper's share of CTC is 0.9.
        warps: factors of frequency of the views outside training, 0.75 to 1.25; empty: one view, as it is.

    Raises:
        InputError: there is no head, or an option is out of range.
    """

    def __init__(
        self,
        features: Extractor,
        encoder: Encoder,
        vocabularies: Mapping[str, Vocabulary],
        *,
        weights: Mapping[str, float] | None = None,
        augmentation: Sequence[nn.Module] = (),
        self_condition: Sequence[int] = (),
        self_condition_weight: float = 0.5,
        blank_penalties: Mapping[str, float] | None = None,
        consistency: float = 0.0,
        crf: Mapping[str, float] | None = None,
        warps: Sequence[float] = (),
    ) -> None:
        super().__init__(features, encoder, vocabularies, augmentation)
        if not vocabularies:
            raise InputError("a CTC task needs at least one head")
        if any(not 0 < layer < encoder.num_layers for layer in self_condition):
            accepted = (
                f"layers from 1 to {encoder.num_layers - 1}, below the last one" if encoder.num_layers > 1 else "[]"
            )
            raise InputError(
                f"task.self_condition={list(self_condition)} with encoder.num_layers={encoder.num_layers}: "
                f"use {accepted}"
            )
        if not 0 <= self_condition_weight < 1:
            raise InputError(f"self_condition_weight={self_condition_weight}: use a number from 0 to below 1")
        if not consistency >= 0:
            raise InputError(f"consistency={consistency}: use 0, or the weight of the views' divergence")
        if any(not LOWEST_WARP <= factor <= HIGHEST_WARP for factor in warps):
            raise InputError(f"task.warps={list(warps)}: use factors from {LOWEST_WARP} to {HIGHEST_WARP}, or []")
        if warps and features.normalization.num_bands != features.dim:
            raise InputError("task.warps needs a log-mel filter bank without energy and derivatives as features")
        if warps and not encoder.bidirectional:
            raise InputError("task.warps needs a bidirectional encoder; use []")
        self.warps = tuple(warps)
        self.weights = dict.fromkeys(vocabularies, 1.0) | dict(weights or {})
        penalties = dict.fromkeys(vocabularies, 0.0) | dict(blank_penalties or {})
        self.crf = {head: weight for head, weight in (crf or {}).items() if weight}
        for head, weight in self.crf.items():
            check_crf(f"task.heads.{head}", weight, len(vocabularies[head]), penalties[head])
        self.label_models: dict[str, LabelTrigram] = {}
        self.further_losses: list[Callable[[SpeechBatch, Mapping[str, Tensor]], Tensor]] = []
        self.heads = nn.ModuleDict(
            {
                head: CTCHead(encoder.output_size, len(v), v.blank, blank_penalty=penalties[head])
                for head, v in self.vocabularies.items()
            }
        )
        initialize_feedforward(encoder.init, self.heads)
        self.self_condition = frozenset(self_condition)
        self.self_condition_weight = self_condition_weight
        self.consistency = consistency
        if self.self_condition:
            self.feedback = nn.ModuleDict(
                {head: nn.Linear(len(v), encoder.output_size, bias=False) for head, v in self.vocabularies.items()}
            )
            initialize_feedforward(encoder.init, self.feedback)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> CTCTask:
        """Build from the groups ``task``, ``features``, ``encoder`` and ``augmentation`` of a configuration.

        Raises:
            InputError: a setting is wrong; the message names it.
        """
        heads = config["task"]["heads"]
        return build_task(
            cls,
            config,
            vocabularies,
            weights={head: options.get("weight", 1.0) for head, options in heads.items()},
            blank_penalties={head: options.get("blank_penalty", 0.0) for head, options in heads.items()},
            crf={head: options.get("crf", 0.0) for head, options in heads.items()},
            **build_speech_frontend(config),
        )

    @property
    def alignment_head(self) -> str:
        """Name of the head for forced alignment: the first one with a blank penalty, or else the primary one."""
        return next((head for head in self.vocabularies if self._head(head).blank_penalty), self.primary)

    @property
    def _views(self) -> int:
        """Number of views of each utterance that the loss sees."""
        return 2 if self.consistency and self.training else 1

    def encode(self, inputs: Tensor, lengths: Tensor, views: int = 1) -> tuple[Tensor, Tensor, list[dict[str, Tensor]]]:
        """Compute the encoder outputs, augmented in training mode.

        Args:
            inputs: (N, S) waveforms or (N, T, D) features, padded.
            lengths: (N,) samples or frames of each utterance.
            views: in training mode, number of differently masked copies of each utterance.

        Returns:
            Outputs (views * N, T', H), the first view of all utterances first; their lengths (views * N,); and for each
            layer of ``self_condition`` the log-probabilities (views * N, T', V) by head.

        Raises:
            InputError: as `Extractor.forward`.
        """
        return self.encode_features(*self.input_frames(inputs, lengths, views))

    def encode_features(
        self, x: Tensor, lengths: Tensor, silent: Tensor | None = None
    ) -> tuple[Tensor, Tensor, list[dict[str, Tensor]]]:
        """Compute the encoder outputs of features (N, T, F) of ``lengths`` (N,) frames; see `encode`.

        The encoder does not see ``silent`` output frames (N, T'), as if they were cut out of the recording.
        """
        x, lengths = self.without_silence(x, lengths, silent)
        lower: list[dict[str, Tensor]] = []
        return *self.encoder(x, lengths, self._conditioning(lower)), lower

    def _conditioning(self, lower: list[dict[str, Tensor]]) -> Callable[[int, Tensor], Tensor] | None:
        """Return what feeds the scores of layers back, and adds them to ``lower``; None where none are."""
        if not self.self_condition:
            return None

        def condition(layer: int, y: Tensor) -> Tensor:  # (T', N, H)
            if layer in self.self_condition:
                scores = self._scores(y, self.vocabularies)
                lower.append({head: log_probs.transpose(0, 1) for head, log_probs in scores.items()})
                for head, log_probs in scores.items():
                    y = y + self.feedback[head](log_probs.exp().to(y.dtype))
            return y

        return condition

    @property
    def looks_ahead(self) -> bool:
        """Whether an output frame depends on all that follows."""
        return needs_whole_recordings(self)

    def advance(self, x: Tensor, states: Sequence[CellState] | None, head: str) -> tuple[Tensor, Sequence[CellState]]:
        """Compute the next output frames; see `RecognitionTask.advance`."""
        y, states = self.encoder.rnn.advance(x, states, self._conditioning([]))
        return self._scores(y, [head])[head], states

    def silent_frame(self, head: str) -> Tensor:
        """Return the log-probabilities (V,) of a certain blank."""
        return self._blanks(head, torch.zeros(1, 1, len(self.vocabularies[head])))

    def _scores(self, x: Tensor, heads: Iterable[str]) -> dict[str, Tensor]:
        return {head: self.heads[head](x) for head in heads}

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        heads: Sequence[str] | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Compute log-probabilities; outside training, frames without any signal get those of a certain blank.

        Such frames, in long silence or steady noise (`asr.features.silence.silent_frames`), are cut out of what the
        encoder reads. A network that has not seen them in training emits words in them, and after half a minute of them
        its state is another one, so that it misses words next to them.

        Args:
            inputs: (N, S) waveforms or (N, T, D) features, padded.
            lengths: (N,) samples or frames of each utterance.
            heads: the heads to compute; None: all.

        Returns:
            Log-probabilities (N, T', V) float32 by head, and lengths (N,) in output frames.

        Raises:
            InputError: as `Extractor.forward`.
        """
        silent = self.silent_frames(inputs, lengths)
        x, frames = self.input_frames(inputs, lengths)
        scores, frames = self.score_features(x, frames, heads or self.vocabularies, silent)
        return scores, frames if silent is None else self.output_lengths(lengths)

    def score_features(
        self, x: Tensor, lengths: Tensor, heads: Iterable[str], silent: Tensor | None = None, together: bool = False
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Compute log-probabilities from features.

        Args:
            x: (N, T, F).
            lengths: (N,) frames.
            heads: the heads to compute.
            silent: output frames (N, T') that get those of a certain blank and that the encoder does not see; None: no
                frame is silent.
            together: encode the warped views as one batch: more memory, but each layer once in an exported graph.

        Returns:
            Log-probabilities (N, T', V) by head, and the number of frames (N,) that the encoder has read, in output
            frames.
        """
        warps = () if self.training else self.warps
        views = [warp_frequency(x, torch.tensor([factor], device=x.device)) for factor in warps] or [x]
        batches, copies = ([torch.cat(views)], len(views)) if together else (views, 1)
        seen = None if silent is None else silent.repeat(copies, 1)
        parts = []
        for batch in batches:
            y, frames, _ = self.encode_features(batch, lengths.repeat(copies), seen)
            parts.append(self._scores(y, heads))
        scores = {head: torch.cat([part[head] for part in parts]) for head in parts[0]}
        for head, log_probs in scores.items():
            if len(views) > 1:
                log_probs = log_probs.unflatten(0, (len(views), -1)).mean(0).log_softmax(-1)
            if silent is not None:
                log_probs = with_silence(log_probs, silent, self._blanks(head, log_probs))
            scores[head] = log_probs
        return scores, frames.unflatten(0, (copies, -1))[0]

    def _silenced(self, head: str, log_probs: Tensor, silent: Tensor) -> Tensor:
        """Return log-probabilities (N, T', V) with those of a certain blank where frames are ``silent`` (N, T')."""
        return torch.where(silent[:, :, None], self._blanks(head, log_probs), log_probs)

    def _blanks(self, head: str, log_probs: Tensor) -> Tensor:
        """Return log-probabilities (V,) of a certain blank, like those of a head."""
        blank = torch.full_like(log_probs[0, 0], SILENCE_LOG_PROB)
        blank[self.vocabularies[head].blank] = 0.0
        return blank

    def training_loss(self, batch: SpeechBatch) -> Loss:
        """Compute `loss` with the losses of the self-conditioning layers and the divergence of the views.

        Labels have to lie within the utterance. CTC alone learns to emit them at the ends of the silence that
        perturbation has put around it as well, and these a network no longer finds in longer silence: with up to 0.5 s
        in training, a WER of 3 % became one of 29 % with 30 s of zeros (recipes/digits, dev).
        """
        views = self._views
        x, lengths, lower = self.encode(batch.inputs, batch.lengths, views=views)
        silent = self.padded_frames(batch, lengths, x.shape[1])
        targets = {head: target.repeat(views, len(batch.inputs)) for head, target in batch.targets.items()}
        scores = self._scores(x, self.vocabularies)
        loss, skipped = self._loss_of_views(scores, lengths, targets, silent)
        for head in self.label_models:
            loss = loss + self._loss_of_competitors(head, scores[head], lengths, targets[head], silent)
        if lower:
            below = torch.stack([self._loss_of_views(scores, lengths, targets, silent)[0] for scores in lower]).mean()
            loss = torch.lerp(loss, below, self.self_condition_weight)
        loss = sum((further(batch, scores) for further in self.further_losses), loss)
        return Loss(loss, skipped=skipped // views)

    def validation_step(self, batch: SpeechBatch) -> Validation:
        """Compute the loss, the blank rate of the primary head, and the best path of each head."""
        scores, lengths = self(batch.inputs, batch.lengths)
        loss, _ = self.loss(scores, lengths, batch.targets)
        log_probs = scores[self.primary].detach().cpu().numpy()
        blank, frames = greedy.blank_rate(log_probs, lengths.cpu().numpy(), self.vocabulary.blank)
        means: dict[str, tuple[Tensor | float, int]] = {
            "dev_loss": (loss, len(batch.ids)),
            "blank_rate": (blank / max(frames, 1), frames),
        }
        return Validation(means, self.hypotheses(scores, lengths))

    def _loss_of_views(
        self,
        scores: Mapping[str, Tensor],
        lengths: Tensor,
        targets: Mapping[str, Targets],
        silent: Tensor | None,
    ) -> tuple[Tensor, int]:
        """Compute `loss` with blank in ``silent`` frames (N, T'), and in training add the divergence of the views."""
        if silent is None:
            loss, skipped = self.loss(scores, lengths, targets)
        else:
            spoken = {head: self._silenced(head, log_probs, silent) for head, log_probs in scores.items()}
            loss, skipped = self.loss(spoken, lengths, targets)
            for head, target in targets.items():
                blanks = scores[head][:, :, self.vocabularies[head].blank][silent]
                loss = loss - self.weights[head] * blanks.sum() / target.lengths.sum().clamp(min=1)
        if self._views > 1:
            for head, target in targets.items():
                if len(target.rows):
                    divergence = self._head(head).divergence(scores[head], lengths, target.lengths)
                    loss = loss + self.consistency * self.weights[head] * divergence
        return loss, skipped

    def _loss_of_competitors(
        self, head: str, log_probs: Tensor, lengths: Tensor, targets: Targets, silent: Tensor | None
    ) -> Tensor:
        """Compute the weighted log of the sum over all label sequences, in nats per label of the right ones."""
        possible = lengths.cpu()[targets.rows] >= targets.frames_needed
        rows = targets.rows[possible]
        if not len(rows):
            return log_probs.new_zeros(())
        if silent is not None:
            log_probs = self._silenced(head, log_probs, silent)
        blank = self.vocabularies[head].blank
        nats = log_partition(log_probs[rows], lengths[rows], self.label_models[head], blank).sum()
        return self.weights[head] * self.crf[head] * nats / targets.lengths.sum()

    def loss(self, scores: Mapping[str, Tensor], lengths: Tensor, targets: Mapping[str, Targets]) -> tuple[Tensor, int]:
        """Compute the weighted sum over heads of `CTCHead.loss`.

        Args:
            scores: log-probabilities (N, T', V) by head.
            lengths: (N,) output frames.
            targets: by head; utterances without labels for a head add nothing to its loss.

        Returns:
            The loss (scalar float32) in nats per label, and the number of label sequences that are skipped, as they
            need more frames than their utterance has.
        """
        total = lengths.new_zeros((), dtype=torch.float32)
        skipped = 0
        for head, target in targets.items():
            if len(target.rows):
                nll, head_skipped = self._head(head).loss(
                    scores[head],
                    lengths,
                    target.labels,
                    target.lengths,
                    rows=target.rows,
                    frames_needed=target.frames_needed,
                )
                total = total + self.weights[head] * nll
                skipped += head_skipped
        return total, skipped

    def _head(self, name: str) -> CTCHead:
        return cast(CTCHead, self.heads[name])

    def hypotheses(self, scores: Mapping[str, Tensor], lengths: Tensor) -> dict[str, list[Hypothesis]]:
        """Return the best path of each utterance by head, from log-probabilities (N, T', V) and ``lengths`` (N,)."""
        frames = lengths.cpu().numpy()
        return {
            head: greedy.search(log_probs.detach().cpu().numpy(), frames, self.vocabularies[head].blank)
            for head, log_probs in scores.items()
        }
