"""Effect of feature normalization on how well an encoder separates the words of unseen speakers.

    python benchmarks/speakers.py MODEL data/fsdd/{train,dev,test}.jsonl.gz --every 5

Every N-th utterance of each speaker and word is encoded, and a linear classifier of the mean and maximum of the
encoder's outputs is fitted to all speakers but one, for each in turn. Prints its accuracy on the speaker left out, for
each fraction of an utterance's own mean that is subtracted, with and without its level; and the mean accuracy when the
choice among these is made on the other speakers: by classifiers without the speaker left out and each other one in
turn.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import combinations, product

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from asr.data import manifest
from asr.data.sampler import plan_batches
from asr.data.speech_dataset import SpeechDataset
from asr.models import directory, store
from asr.tasks.ctc import CTCTask

FRACTIONS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.7)
SECONDS = 20.0  # of speech in a batch


def read(paths: list[str], every: int, rate: int) -> tuple[SpeechDataset, np.ndarray, np.ndarray]:
    """Return every N-th cut of each speaker and word, with the cuts' words and speakers."""
    groups = defaultdict(list)
    for cut in (cut for path in paths for cut in manifest.read(path)):
        groups[cut.supervisions[0].speaker, manifest.text(cut)].append(cut)
    cuts = [(cut, who, word) for (who, word), group in sorted(groups.items()) for cut in group[::every]]
    dataset = SpeechDataset([cut for cut, *_ in cuts], {}, rate, encode=False)
    return dataset, np.array([word for *_, word in cuts]), np.array([who for _, who, _ in cuts])


@torch.inference_mode()
def encode(task: CTCTask, dataset: SpeechDataset) -> np.ndarray:
    """Return the mean and maximum of the encoder's outputs of each utterance, (N, 2 H)."""
    vectors: dict[int, torch.Tensor] = {}
    for rows in plan_batches(dataset.seconds, SECONDS):
        batch = dataset.collate([dataset[row] for row in rows])
        outputs, lengths, _ = task.encode(batch.inputs, batch.lengths)
        for row, output, frames in zip(rows, outputs, lengths.tolist(), strict=True):
            vectors[row] = torch.cat([output[:frames].mean(0), output[:frames].amax(0)])
    return torch.stack([vectors[row] for row in range(len(dataset))]).numpy()


def accuracies(vectors: np.ndarray, words: np.ndarray, speakers: np.ndarray, out: tuple[str, ...]) -> dict[str, float]:
    """Return the accuracy in percent on each speaker left out of a linear classifier fitted to all others."""
    train = ~np.isin(speakers, out)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200)).fit(vectors[train], words[train])
    correct = fitted.predict(vectors) == words
    return {who: 100 * float(np.mean(correct[speakers == who])) for who in out}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("manifests", nargs="+")
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    task = store.load(directory.find(options.model), CTCTask).eval()
    rate, settings = task.features.sample_rate, task.features.normalization
    assert rate is not None
    dataset, words, speakers = read(options.manifests, options.every, rate)
    names = sorted(set(speakers))
    outer: dict[tuple[float, bool], list[float]] = {}
    inner: dict[tuple[float, bool], list[float]] = {}
    for fraction, removed in product(FRACTIONS, (False, True)):
        settings.mean_fraction, settings.level = fraction, task.features.dim if removed else 0
        vectors, key = encode(task, dataset), (fraction, removed)
        outer[key] = [accuracies(vectors, words, speakers, (who,))[who] for who in names]
        pairs = {pair: accuracies(vectors, words, speakers, pair) for pair in combinations(names, 2)}
        inner[key] = [
            float(
                np.mean([accuracy[by] for pair, accuracy in pairs.items() if who in pair for by in pair if by != who])
            )
            for who in names
        ]
        each = "  ".join(f"{who} {value:.1f}" for who, value in zip(names, outer[key], strict=True))
        level = "removed" if removed else "kept"
        print(f"{fraction:.1f} of the mean, level {level:7}  {each}  mean {np.mean(outer[key]):.2f}", end="  ")
        print(f"on the others {np.mean(inner[key]):.2f}", flush=True)
    chosen = [max(inner, key=lambda key: inner[key][number]) for number in range(len(names))]
    for number, (who, (fraction, removed)) in enumerate(zip(names, chosen, strict=True)):
        print(f"{who}: chosen on the others: {fraction:.1f}, level {'removed' if removed else 'kept'}", end="")
        print(f": {outer[fraction, removed][number]:.1f}")
    print(f"mean {np.mean([outer[key][number] for number, key in enumerate(chosen)]):.2f}")


if __name__ == "__main__":
    main()
