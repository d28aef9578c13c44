"""Every file in configs/ and recipes/ composes as in `asr train`, and its model can be built and run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from asr.audio.perturbation import Perturbation
from asr.data import manifest
from asr.data.batch import SpeechBatch, Targets, pad
from asr.data.caption_dataset import CaptionDataset, Grids
from asr.data.caption_manifest import CaptionedImage
from asr.data.pairs import PairDataset, Seq2SeqBatch
from asr.errors import InputError
from asr.features import Precomputed
from asr.models import store
from asr.registry import build
from asr.systems import SYSTEMS
from asr.tasks.classification import ClassificationTask
from asr.tasks.ctc import CTCTask
from asr.tasks.encoder_decoder import EncoderDecoderTask, search
from asr.tasks.language import LanguageTask
from asr.tasks.speech_frontend import SpeechTask
from asr.text.phones import PHONE_SETS
from asr.text.vocabulary import EOS
from asr.training.jobs import captioning as caption_training
from asr.training.jobs import classification
from asr.training.jobs import seq2seq as pair_training
from asr.training.jobs._recognition import RecognitionJob, make_vocabularies
from asr.training.jobs.ctc import make_task
from asr.training.module import OPTIMIZERS, TrainingModule
from asr.training.schema import check_settings
from asr.training.vocabularies import make_vocabulary
from asr.training.warm_start import complete_from_model
from asr.utils import resources

CONFIGS = resources.folder("configs")
RECIPES = resources.folder("recipes")
GROUPS = [f"{path.parent.name}={path.stem}" for path in sorted(CONFIGS.glob("*/*.yaml"))]
TRAININGS = sorted(CONFIGS.glob("train*.yaml"))
RECIPE_FILES = sorted(RECIPES.glob("*/*.yaml"))
MODEL = Path(__file__).parent / "data" / "legacy" / "ctc_text"
TEXTS = ["the quick brown fox", "jumps over it's lazy dog", "pack my box with five dozen jugs", "sphinx of quartz vow"]


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory, tone_corpus: Any) -> list[Any]:
    """Return utterances with text and with phones that the TIMIT sets and ARPAbet share."""
    utterances = manifest.read(tone_corpus(tmp_path_factory.mktemp("corpus"), ["ab", "cd", "ef", "gh"]))
    for cut, text in zip(utterances, TEXTS, strict=True):
        cut.supervisions[0].text = text
        cut.supervisions[0].custom["phones"] = "aa b iy s"
    return utterances


def composed(recipe: Path, *overrides: str) -> dict[str, Any]:
    """Return the configuration of `asr train RECIPE OVERRIDES`."""
    search = f"hydra.searchpath=[file://{CONFIGS}]"
    with initialize_config_dir(str(recipe.parent), version_base="1.3"):
        config = compose(recipe.stem, overrides=[search, *overrides], return_hydra_config=False)
    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return {str(key): value for key, value in plain.items()}


def check(config: dict[str, Any], cuts: list[Any]) -> None:
    """Build the task of a configuration as training does, and run a batch through it."""
    check_settings(config)
    checks = {
        "language": check_language,
        "seq2seq": check_seq2seq,
        "captioning": check_captioning,
        "classification": check_classification,
    }
    kind = config["task"]["type"]
    job = SYSTEMS[kind].load("job")
    (check_recognizer if issubclass(job, RecognitionJob) else checks[kind])(config, cuts)


def check_language(config: dict[str, Any], cuts: list[Any]) -> None:
    heads = config["task"]["heads"]
    vocabularies = {head: make_vocabulary(head, options, TEXTS, ["aa", "b"], (EOS,)) for head, options in heads.items()}
    task = store.make_task(config, vocabularies)
    assert isinstance(task, LanguageTask)
    TrainingModule(task, config["optimizer"], config["seed"], "dev_loss", batches=10)
    nats, _ = task.loss(torch.randint(len(task.vocabulary), (3, 5)))
    assert torch.isfinite(nats)


def check_seq2seq(config: dict[str, Any], cuts: list[Any]) -> None:
    texts = {text: ["aa b", "iy s"] for text in TEXTS}
    task = pair_training.make_task(config, texts)
    data = PairDataset(texts, task.source, task.vocabulary)
    check_encoder_decoder(config, task, data.collate([data[0], data[3]]))


def check_captioning(config: dict[str, Any], cuts: list[Any]) -> None:
    items = [CaptionedImage(str(number), "", (text,) * 5) for number, text in enumerate(TEXTS)]
    task = caption_training.make_task(config, items)
    grids = Grids(np.random.default_rng(1).normal(size=(len(items), 9, 1280)).astype(np.float16), pooled=False)
    data = CaptionDataset(items, [grids], task.vocabulary)
    check_encoder_decoder(config, task, data.collate([data[0], data[7]]))


def check_encoder_decoder(config: dict[str, Any], task: EncoderDecoderTask, batch: Seq2SeqBatch) -> None:
    TrainingModule(task, config["optimizer"], config["seed"], "dev_loss", batches=10)
    assert torch.isfinite(task.loss(batch.inputs, batch.lengths, batch.labels, batch.ends))
    hypotheses = search([task], batch.inputs, batch.lengths)
    assert len(hypotheses) == len(batch.ids)


def check_classification(config: dict[str, Any], cuts: list[Any]) -> None:
    task = classification.make_task(config, TEXTS)
    assert isinstance(task, ClassificationTask)
    build({"perturbation": Perturbation}, {"type": "perturbation", **(config["data"]["perturbation"] or {})}, "data")
    TrainingModule(task, config["optimizer"], config["seed"], "dev_error", batches=10)
    inputs, lengths = waveforms(task)
    task.features.fit([(inputs, lengths)])
    for mode in (True, False):
        log_probs = task.train(mode)(inputs, lengths)
        assert log_probs.shape == (2, len(TEXTS)) and torch.isfinite(task.loss(log_probs, torch.tensor([0, 3])))


def waveforms(task: Any) -> tuple[torch.Tensor, torch.Tensor]:
    rate = task.features.sample_rate
    assert rate is not None
    return pad([torch.randn(3 * rate), torch.randn(2 * rate)])


def check_recognizer(config: dict[str, Any], cuts: list[Any]) -> None:
    task = store.make_task(config, make_vocabularies(config, cuts))
    assert isinstance(task, SpeechTask)
    build({"perturbation": Perturbation}, {"type": "perturbation", **(config["data"]["perturbation"] or {})}, "data")
    module = TrainingModule(task, config["optimizer"], config["seed"], "dev_loss", batches=10)
    assert config["optimizer"]["type"] in OPTIMIZERS and module.task is task
    if isinstance(task.features, Precomputed):
        inputs, lengths = pad([torch.randn(300, task.features.input_dim), torch.randn(200, task.features.input_dim)])
    else:
        inputs, lengths = waveforms(task)
    task.features.fit([(inputs, lengths)])
    batch = SpeechBatch(["a", "b"], inputs, lengths, {head: Targets.of([[1, 2], [2]]) for head in task.vocabularies})
    assert torch.isfinite(task.train().training_loss(batch).value)
    assert "dev_loss" in task.eval().validation_step(batch).means
    for mode in (True, False):
        outputs, frame_counts = task.train(mode)(inputs, lengths)
        assert set(outputs) == set(config["task"]["heads"])
        for head, frames in outputs.items():
            assert frames.shape[:2] == (2, int(frame_counts.max())) and torch.isfinite(frames).all()
            assert not isinstance(task, CTCTask) or frames.shape[2] == len(task.vocabularies[head])


def fitting(choice: str) -> dict[str, Any]:
    """Return the configuration of the first training that accepts a choice of a group."""
    for path in TRAININGS:
        try:
            config = composed(path, choice, "data.train=train", "data.dev=dev")
            check_settings(config)
        except (HydraException, InputError):
            continue
        return config
    raise AssertionError(f"{choice} is for none of {TRAININGS}")


def shrunk(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with a network and vocabularies small enough for a test."""
    for group in ("encoder", "label_rnn"):
        if group in config:
            config[group] |= {"hidden_size": 4}  # only the width costs time
    for head in config["task"]["heads"].values():
        if head["kind"] == "sentencepiece":
            head["size"] = 40  # these few texts have no more units
    return config


def test_there_are_configs_and_recipes() -> None:
    assert len(GROUPS) > 15 and len(RECIPE_FILES) > 1
    assert {composed(path, "data.train=x", "data.dev=x")["task"]["type"] for path in TRAININGS} == set(SYSTEMS)


@pytest.mark.parametrize("recipe", RECIPE_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recipes(recipe: Path, cuts: list[Any]) -> None:
    config = composed(recipe)
    if "heads" not in config["task"]:  # the recipe adapts a model
        config = complete_from_model(composed(recipe, f"init={MODEL}", "data.train=x", "data.dev=x"))
    assert config["run_dir"].startswith(f"runs/{config['name']}/") and config["run_dir"].endswith(
        f"seed={config['seed']}"
    )
    assert config["resume"] == "none" and config["data"]["train"] and config["data"]["dev"]
    check(shrunk(config), cuts)
    command, figures = recipe.read_text().splitlines()[:2]
    assert command.startswith(f"# asr train {recipe.relative_to(RECIPES.parent)}")
    assert re.search(r"(minutes|\d s) on|[Mm]inute a run on|No figure is claimed|Not trained", figures)


def test_no_two_recipes_have_the_same_name() -> None:
    names = [composed(recipe)["name"] for recipe in RECIPE_FILES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("choice", GROUPS)
def test_every_choice_of_every_group(choice: str, cuts: list[Any]) -> None:
    check(shrunk(fitting(choice)), cuts)


@pytest.mark.parametrize("phones", sorted(PHONE_SETS))
def test_phone_sets(phones: str, cuts: list[Any]) -> None:
    config = shrunk(composed(CONFIGS / "train.yaml", "task=phones", f"task.heads.phones.phones={phones}"))
    check(config, cuts)


@pytest.mark.parametrize("optimizer", ["adamw_one_cycle", "sgd_plateau"])
def test_optimizers_step(optimizer: str, cuts: list[Any]) -> None:
    """Torch accepts the options, and the learning rate changes."""
    import lightning as L

    config = shrunk(composed(CONFIGS / "train.yaml", f"optimizer={optimizer}"))

    def configured(settings: dict[str, Any]) -> Any:
        module = TrainingModule(make_task(config, cuts), settings, 1, "dev_wer", batches=10)
        module.trainer = L.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False)
        return module.configure_optimizers()

    optimizers = configured(config["optimizer"])
    optimizers["optimizer"].step()
    scheduler = optimizers["lr_scheduler"]["scheduler"]
    before = optimizers["optimizer"].param_groups[0]["lr"]
    for _ in range(8):
        scheduler.step(*([1.0] if optimizer == "sgd_plateau" else []))
    assert optimizers["optimizer"].param_groups[0]["lr"] != before
    if optimizer == "adamw_one_cycle":  # a rise of a single step
        schedule = config["optimizer"]["schedule"] | {"pct_start": 0.05}
        rising = configured(config["optimizer"] | {"schedule": schedule})["optimizer"].param_groups[0]["lr"]
        assert rising == pytest.approx(config["optimizer"]["lr"], rel=0.01)
