"""What the tasks that recognize speech share, whatever their loss: reading audio, and what they do with silence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asr.data.batch import SpeechBatch
from asr.features.cmvn import PER_UTTERANCE
from asr.features.silence import silent_frames
from asr.modules.cells import CellState
from asr.tasks.speech_frontend import SpeechTask
from asr.utils.masks import length_mask, take_frames

# Training silence around an utterance is all blank but for this much, in seconds, next to the utterance.
MARGIN_BEFORE, MARGIN_AFTER = 0.1, 0.3


class RecognitionTask(SpeechTask):
    """A task whose outputs a search turns into label sequences.

    Called with (inputs, lengths, heads) it returns output frames (N, T', D) by head, which a decoder
    searches, and their lengths (N,).
    """

    def input_frames(
        self,
        inputs: Tensor,
        lengths: Tensor,
        views: int = 1,
    ) -> tuple[Tensor, Tensor]:
        """Compute the features, augmented in training mode.

        Args:
            inputs: (N, S) waveforms or (N, T, D) features, padded.
            lengths: (N,) samples or frames of each utterance.
            views: in training mode, number of differently masked copies of each utterance.

        Returns:
            Features (views * N, T, F), the first view of all utterances first, and their lengths (views * N,).

        Raises:
            InputError: as `Extractor.forward`.
        """
        with torch.no_grad():
            x, lengths = self.features(inputs, lengths)  # (N, T, F)
            if self.training:
                x, lengths = self._augment(x, lengths, views)
        return x, lengths

    def _augment(self, x: Tensor, lengths: Tensor, views: int) -> tuple[Tensor, Tensor]:
        """Apply the augmentations; views differ by those that keep the timing, so that their frames correspond."""
        for augment in self.augmentation:
            if augment.changes_time:
                x, lengths = augment(x, lengths)
        if views > 1:
            x, lengths = x.repeat(views, 1, 1), lengths.repeat(views)
        for augment in self.augmentation:
            if not augment.changes_time:
                x, lengths = augment(x, lengths)
        return x, lengths

    @property
    def looks_ahead(self) -> bool:
        """Whether an output frame depends on all that follows, so that `advance` is impossible."""
        return True

    def advance(self, x: Tensor, states: Sequence[CellState] | None, head: str) -> tuple[Tensor, Sequence[CellState]]:
        """Compute the next output frames of recordings that go on.

        Args:
            x: of the encoder's front, (N, T', F).
            states: of the encoder after the frames before; None: there were none.
            head: the head to compute.

        Returns:
            Output frames (N, T', D) that a decoder searches, and the states after the last one.
        """
        raise NotImplementedError

    def silent_frame(self, head: str) -> Tensor:
        """Return the output frame (D,) where there is no signal: a certain blank."""
        raise NotImplementedError

    def silent_frames(self, inputs: Tensor, lengths: Tensor) -> Tensor | None:
        """Find output frames without any signal, outside training, in long silence or steady noise.

        Args:
            inputs: (N, S) waveforms or (N, T, D) features, padded.
            lengths: (N,) samples or frames of each utterance.

        Returns:
            A mask (N, T'), see `asr.features.silence.silent_frames`; None where there are none.
        """
        if self.training or (rate := self.features.sample_rate) is None:
            return None
        silent = silent_frames(inputs, lengths, rate, self.output_lengths(lengths), self.frame_seconds)
        return silent if silent.any() else None

    def without_silence(self, x: Tensor, lengths: Tensor, silent: Tensor | None) -> tuple[Tensor, Tensor]:
        """Cut the features of silent frames out, as if these were not in the recording.

        Args:
            x: (N, T, F) features, padded.
            lengths: (N,) frames of each utterance.
            silent: output frames (N, T') that the encoder is not to see; None: none.

        Returns:
            As ``x`` and ``lengths``; at least one frame of each utterance is left.
        """
        if silent is None:
            return x, lengths
        time = torch.arange(x.shape[1], device=x.device)
        return cut_frames(x, lengths, silent[:, time // self.encoder.stride])

    def padded_frames(self, batch: SpeechBatch, lengths: Tensor, total: int) -> Tensor | None:
        """Frames (N, total) of the silence around utterances, of ``lengths`` (N,) frames; None if there is none."""
        if batch.padding is None or self.features.sample_rate is None:
            return None
        copies = len(lengths) // len(batch.lengths)
        samples, padding = batch.lengths.repeat(copies), batch.padding.repeat(copies, 1)
        rate = self.features.sample_rate
        first = padding[:, 0] - round(MARGIN_BEFORE * rate)
        last = samples - padding[:, 1] + round(MARGIN_AFTER * rate)
        frame = torch.arange(total, device=samples.device)
        # augmentation may have changed the tempo
        position = (frame + 0.5) * (samples / lengths.to(samples.device))[:, None]
        return ((position < first[:, None]) | (position > last[:, None])) & (
            frame < lengths.to(samples.device)[:, None]
        )


def needs_whole_recordings(task: SpeechTask) -> bool:
    """Return whether a task's features or encoder read a recording to its end before they give its first frame."""
    per_utterance = task.features.normalization.mode in PER_UTTERANCE
    return task.encoder.bidirectional or per_utterance or task.features.sample_rate is None


def with_silence(outputs: Tensor, silent: Tensor, silence: Tensor) -> Tensor:
    """Put the outputs of frames between which silent ones were cut out back in their places.

    Args:
        outputs: of the frames that are not silent, in order, (N, K, D).
        silent: (N, T').
        silence: (D,) the output of a silent frame.

    Returns:
        (N, T', D).
    """
    place = ((~silent).cumsum(1) - 1).clamp(0, outputs.shape[1] - 1)  # (N, T') of each frame in the outputs
    moved = take_frames(outputs, place)
    return torch.where(silent[:, :, None], silence, moved)


def cut_frames(x: Tensor, lengths: Tensor, cut: Tensor) -> tuple[Tensor, Tensor]:
    """Cut frames out of utterances; of an utterance that would have none left the first one stays.

    Args:
        x: (N, T, F), padded.
        lengths: (N,) frames of each.
        cut: (N, T) bool.

    Returns:
        As ``x`` and ``lengths``, zero beyond the new lengths.
    """
    total = x.shape[1]
    time = torch.arange(total, device=x.device)
    kept = length_mask(lengths.to(x.device), total) & ~cut
    kept = kept | ((time == 0) & ~kept.any(1, keepdim=True))
    counts = kept.sum(1)
    order = torch.where(kept, time, total).sort(1).values.clamp(max=total - 1)  # the kept ones first
    if not torch.compiler.is_exporting():  # an exported graph knows no sizes that depend on values
        order = order[:, : int(counts.max())]
    result = take_frames(x, order)
    beyond = ~length_mask(counts, order.shape[1])
    return result.masked_fill(beyond[:, :, None], 0), counts.to(lengths)
