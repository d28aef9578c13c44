"""recipes/timit: the networks of Graves, Mohamed & Hinton (2013, table 1), by size and by training small ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from asr import corpora
from asr.data import manifest
from asr.models import store
from asr.modules.cells.initialization import UNIFORM_RANGE
from asr.tasks.base import Task
from asr.tasks.transducer import TransducerTask
from asr.text.vocabulary import BLANK, Vocabulary
from asr.training.run import train
from asr.training.schema import check_settings
from asr.utils import resources

RECIPES = resources.folder("recipes") / "timit"
# name: millions of weights, recurrent layers
TABLE = {
    "ctc-3l-500h-tanh": (3.7, 3),
    "ctc-1l-250h": (0.8, 1),
    "ctc-1l-622h": (3.8, 1),
    "ctc-2l-250h": (2.3, 2),
    "ctc-3l-421h-uni": (3.8, 3),
    "ctc-3l-250h": (3.8, 3),
    "ctc-5l-250h": (6.8, 5),
    "trans-3l-250h": (4.3, 3),
    "pretrans-3l-250h": (4.3, 3),
}
SMALL = ["encoder.hidden_size=12", "trainer.epochs=1", "trainer.accelerator=cpu", "decoder.beam=4"]


def composed(name: str, *overrides: str) -> dict[str, Any]:
    search = f"hydra.searchpath=[file://{resources.folder('configs')}]"
    with initialize_config_dir(str(RECIPES), version_base="1.3"):
        config = compose(name, overrides=[search, *overrides])
    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    check_settings(plain)
    return {str(key): value for key, value in plain.items()}


def network(config: dict[str, Any]) -> Task:
    heads = config["task"]["heads"]
    return store.make_task(config, {head: Vocabulary.phones(options["phones"]) for head, options in heads.items()})


@pytest.mark.parametrize("name", TABLE)
def test_networks_of_the_paper(name: str) -> None:
    config = composed(name)
    task: Any = network(config)
    weights = sum(parameter.numel() for parameter in task.parameters())
    assert weights == pytest.approx(TABLE[name][0] * 1e6, rel=0.03)
    features = config["features"]
    assert (features["num_mels"] + features["energy"]) * (1 + features["deltas"]) == 123
    assert task.encoder.num_layers == TABLE[name][1]
    assert len(task.vocabulary) == 62 and config["task"]["heads"]["phones"]["fold"] == 39
    assert all(parameter.abs().max() <= UNIFORM_RANGE for parameter in task.parameters())
    assert max(parameter.abs().max() for parameter in task.parameters()) > 0.99 * UNIFORM_RANGE
    optimizer, trainer = config["optimizer"], config["trainer"]
    assert optimizer["type"] == "sgd" and optimizer["momentum"] == 0.9 and optimizer["schedule"] is None
    assert trainer["weight_noise"] == 0.075 and trainer["weight_noise_from"] == "best_loss"
    assert config["data"]["utterances"] == 1 and config["decoder"]["beam"] == 100


@pytest.mark.parametrize("name", [*TABLE, "next-phone", "modern"])
def test_the_same_networks_on_phones_of_other_corpora(name: str) -> None:
    config = composed(name, "corpus=phones")
    assert config["name"] == f"phones-{name}" and config["data"]["train"].startswith("data/phones/")
    assert config["task"]["heads"]["phones"]["phones"] == "arpabet"
    assert "seed" not in str(config["init"]) or all("/phones-" in path for path in config["init"].values())


@pytest.mark.parametrize("name", [*TABLE, "modern"])
def test_the_small_table_has_the_same_networks_and_one_budget(name: str) -> None:
    config, paper = composed(name, "corpus=phones_small"), composed(name, "corpus=phones")
    sizes = [sum(parameter.numel() for parameter in network(c).parameters()) for c in (config, paper)]
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-4) and config["name"] == f"phones_small-{name}"
    reference = composed("ctc-3l-250h", "corpus=phones_small")
    for group, setting in (
        ("optimizer", "lr"),
        ("trainer", "epochs"),
        ("trainer", "weight_noise"),
        ("data", "seconds"),
    ):
        assert config[group][setting] == reference[group][setting]
    assert config["optimizer"]["type"] == "adamw" and config["data"]["test"] is None


@pytest.fixture(scope="module")
def sample(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of a few utterances of each split of NLTK's sample of TIMIT."""
    if not (shared_data / "timit_sample").is_dir():
        pytest.skip(f"no timit_sample in {shared_data}")
    folder = tmp_path_factory.mktemp("timit")
    for split, cuts in corpora.load("timit").prepare(shared_data / "timit_sample").items():
        manifest.write(cuts[:6], folder / f"{split}.jsonl.gz")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TABLE, "modern"])
def test_all_rows_train_and_score_recordings_of_timit(name: str, sample: Path, tmp_path: Path) -> None:
    """Both phases of one epoch each, at the recipe's size; without the networks that pretrans-3l-250h starts from."""
    data = [f"data.{split}={sample / split}.jsonl.gz" for split in ("train", "dev", "test")]
    options = ["init=null", "trainer.epochs=1", "trainer.accelerator=cpu", "decoder.beam=4", f"run_dir={tmp_path}"]
    figures = train(composed(name, *data, *options))
    ((_, heads),) = figures["test"].items()
    assert set(heads) == {"phones", "phones, beam"}
    assert all(head["phones"]["reference"] > 100 for head in heads.values())
    assert ("best_epoch_without_noise" in figures["training"]) == (name != "modern")


def test_ctc_then_next_phone_then_transducer(tmp_path: Path, tone_corpus: Any, tone_texts: Any) -> None:
    """As a user trains the last row of the table, in small, on utterances of made-up phones."""
    manifest = str(tone_corpus(tmp_path / "corpus", tone_texts(4)))
    data = [f"data.{split}={manifest}" for split in ("train", "dev", "test")]
    phones = ["task.heads.phones.phones=[a,b,c,d,e,f,g,h]", "task.heads.phones.fold=null"]
    runs = {name: tmp_path / name for name in ("ctc-1l-250h", "next-phone", "pretrans-3l-250h")}
    parts = [f"init.encoder={runs['ctc-1l-250h']}", f"init.prediction={runs['next-phone']}", "encoder.num_layers=1"]
    label_rnn = ["label_rnn.hidden_size=10"]
    changes = {
        "ctc-1l-250h": SMALL,
        "next-phone": [*label_rnn, "trainer.epochs=1", "trainer.accelerator=cpu"],
        "pretrans-3l-250h": [*SMALL, *parts, *label_rnn, "task.joint_size=12"],
    }
    for name, run_dir in runs.items():
        config = composed(name, *data, *phones, *changes[name], f"run_dir={run_dir}")
        figures = train(config)
        assert figures == json.loads((run_dir / "model" / "metrics.json").read_text())
    assert figures["training"]["best_epoch_without_noise"] == 1 and "beam" in str(figures["test"])
    transducer: Any = store.load(runs["pretrans-3l-250h"] / "model", TransducerTask)
    assert transducer.vocabulary.tokens[0] == BLANK and len(transducer.vocabulary) == 9
