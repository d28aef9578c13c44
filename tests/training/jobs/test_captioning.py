"""Captioners: trained on four images with and without attention, used on files; wrong settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from asr.data import caption_manifest, image_files
from asr.data.caption_manifest import CaptionedImage
from asr.decoding.label.beam import LabelBeamOptions
from asr.errors import InputError
from asr.inference.captioner import Captioner
from asr.models import store
from asr.modules.mobilenet import MobileNetV2
from asr.tasks.captioning import CaptioningTask
from asr.tasks.encoder_decoder import search
from asr.training.run import train

COLORS = ["red", "green", "blue", "black"]
Config = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four colored images and their manifest, and weights of an encoder that tells them apart."""
    folder = tmp_path_factory.mktemp("colored")
    for color in COLORS:
        Image.new("RGB", (40, 30), color).save(folder / f"{color}.png")
    items = [
        CaptionedImage(c, str(folder / f"{c}.png"), (f"a {c} picture", f"the picture is all {c}") * 5) for c in COLORS
    ]
    caption_manifest.write(items, folder / "manifest.jsonl")
    torch.manual_seed(1)
    encoder = MobileNetV2(10)
    for module in encoder.modules():  # statistics of these very images, so that no layer maps them to constants
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            torch.nn.Module.train(module)
    with torch.no_grad():
        encoder(torch.stack([image_files.read(item.image, 64) for item in items]))
    save_file(encoder.state_dict(), folder / "encoder.safetensors")
    return folder


@pytest.fixture(scope="module")
def caption_config(tiny_config: Config, folder: Path) -> Config:
    def make(run_dir: Path, **changes: Any) -> dict[str, Any]:
        manifest = str(folder / "manifest.jsonl")
        config = tiny_config(run_dir, Path(manifest))
        for group in ("features", "augmentation", "decoder", "encoder"):
            del config[group]
        config["task"] = {
            "type": "captioning",
            "attention": False,
            "image_size": 64,
            "heads": {"caption": {"kind": "words", "min_count": 2, "unknown": "map"}},
        }
        config["image_encoder"] = {
            "type": "mobilenet_v2",
            "num_classes": 10,
            "weights": str(folder / "encoder.safetensors"),
        }
        config["label_rnn"] = {"type": "label_rnn", "embedding_size": 16, "hidden_size": 32}
        config["search"] = {"type": "beam", "beam": 3, "max_length": 8}
        config["data"] = {"train": manifest, "dev": manifest, "test": None, "labels": 24}
        config["data"] |= {"mirror": True, "cache": str(folder / "cache")}
        for key, value in changes.items():
            group, name = key.split(".")
            config[group][name] = value
        return config

    return make


@pytest.fixture(scope="module", params=[False, True], ids=["no_attention", "attention"])
def run(request: pytest.FixtureRequest, caption_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("caption_run")
    train(caption_config(run_dir, **{"task.attention": request.param, "trainer.epochs": 20}))
    return run_dir


def pictures(folder: Path) -> list[str]:
    return [str(folder / f"{color}.png") for color in COLORS]


def test_captions_are_memorized(run: Path, folder: Path) -> None:
    figures = json.loads((run / "model" / "metrics.json").read_text())
    assert figures["dev"]["images"] == 4 and figures["dev"]["BLEU-4"] == 1
    assert "BLEU-4" in (run / "model" / "README.md").read_text()
    captions = dict(Captioner.load(run).caption_all(pictures(folder)))
    for index, color in enumerate(COLORS):
        hypotheses = captions[index]
        assert isinstance(hypotheses, list)
        (caption,) = hypotheses
        assert caption.text in (f"a {color} picture", f"the picture is all {color}")


def test_a_batch_gives_what_single_images_give(run: Path, folder: Path) -> None:
    loaded = Captioner.load(run)
    together = dict(loaded.caption_all(pictures(folder), nbest=2))
    for index, path in enumerate(pictures(folder)):
        alone, batched = loaded.caption(path, nbest=2), together[index]
        assert isinstance(batched, list)
        assert [c.text for c in alone] == [c.text for c in batched]
        assert [c.score for c in alone] == pytest.approx([c.score for c in batched], abs=1e-4)


def test_a_beam_of_one_is_greedy(run: Path, folder: Path) -> None:
    task = store.load(run / "model", CaptioningTask)
    image = image_files.read(pictures(folder)[1], 64)[None]
    (best,), *_ = search([task], image, torch.ones(1), LabelBeamOptions(beam=1, max_length=9))
    state, label, labels = task.encode_state(image, torch.ones(1)), task.eos, []
    for _ in range(9):
        log_probs, state = task.network.step(state, torch.tensor([label]))
        if (label := int(log_probs.argmax())) == task.eos:
            break
        labels.append(label)
    assert best.labels == tuple(labels)


def test_grids_give_what_their_images_give(run: Path, folder: Path) -> None:
    task = store.load(run / "model", CaptioningTask)
    batch = torch.stack([image_files.read(path, 64) for path in pictures(folder)])
    labels = torch.tensor([[task.eos, 1, 2]] * 4)
    torch.testing.assert_close(task(batch, torch.ones(4), labels), task(task.encode(batch), torch.ones(4), labels))


def test_models_with_the_same_encoder_encode_once(run: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    forward = MobileNetV2.forward

    def counted(self: MobileNetV2, x: torch.Tensor) -> Any:
        calls.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(MobileNetV2, "forward", counted)
    loaded = Captioner.load(run, ensemble=[run])
    once = dict(loaded.caption_all(pictures(folder)))
    assert calls == [4]
    with torch.no_grad():  # another encoder by its weights, with the same output
        loaded.tasks[1].encoder.get_parameter("classifier.1.bias").add_(1)
    assert dict(Captioner(loaded.tasks).caption_all(pictures(folder))) == once
    assert calls == [4, 4, 4]


def test_the_encoder_is_trained_unless_it_is_frozen(caption_config: Config, tmp_path: Path, folder: Path) -> None:
    config = caption_config(tmp_path, **{"task.frozen": False, "data.cache": None, "trainer.epochs": 1})
    train(config)
    task = store.load(tmp_path / "model", CaptioningTask)
    before = MobileNetV2(10)
    before.load_weights(folder / "encoder.safetensors")
    changed = [not torch.equal(a, b) for a, b in zip(task.encoder.parameters(), before.parameters(), strict=True)]
    assert any(changed)
    train(caption_config(tmp_path / "frozen", **{"trainer.epochs": 1}))
    frozen = store.load(tmp_path / "frozen" / "model", CaptioningTask)
    assert all(map(torch.equal, frozen.encoder.parameters(), before.parameters()))


def test_the_command(run: Path, folder: Path, tmp_path: Path, asr: Callable[..., Any], tone_run: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    page = tmp_path / "page.html"
    outcome = asr("caption", pictures(folder)[0], bad, "--model", run, "--nbest", "2", "--json", "--html", page)
    assert outcome.status == 1 and "1 of 2 files failed" in outcome.err
    assert re.search(r"failed: .*bad\.png: cannot be read as an image", outcome.err)
    (line,) = map(json.loads, outcome.out.splitlines())
    assert line["image"].endswith("red.png") and len(line["captions"]) == 2
    assert line["captions"][0]["score"] >= line["captions"][1]["score"]
    html = page.read_text()
    assert line["captions"][0]["text"] in html and html.count('<img src="data:image/jpeg;base64,') == 1
    outcome = asr("caption", folder, "--model", run, "--model", run)
    assert outcome.status == 0 and len(outcome.out.splitlines()) == 4
    asr("caption", folder / "none.png", "--model", run).check_refusal(r"none\.png: no such file")
    asr("caption", tmp_path, "--model", tone_run).check_refusal("a speech recognizer; a captioner is needed")
    (tmp_path / "empty").mkdir()
    asr("caption", tmp_path / "empty", "--model", run).check_refusal("no files of the kinds .bmp")


def test_evaluate(run: Path, folder: Path, tmp_path: Path, asr: Callable[..., Any]) -> None:
    page = tmp_path / "page.html"
    outcome = asr("evaluate", run, folder / "manifest.jsonl", "--html", page, "--worst", "1", "--ensemble", run)
    assert outcome.status == 0 and "4 images: BLEU-1 100.0" in outcome.out
    html = page.read_text()
    assert html.count("<img ") == 2 and "<h2>Worst</h2>" in html and "<h2>Best</h2>" in html


def test_attention_is_drawn(run: Path, folder: Path, tmp_path: Path, asr: Callable[..., Any]) -> None:
    if store.load(run / "model", CaptioningTask).places is None:
        asr("caption", folder, "--model", run, "--attention", tmp_path).check_refusal("attention can be shown of one")
        return
    (caption,) = Captioner.load(run).caption(pictures(folder)[0], attention=True)
    assert caption.attention is not None and caption.attention.shape == (len(caption.text.split()), 2, 2)
    torch.testing.assert_close(caption.attention.sum((1, 2)), torch.ones(len(caption.attention)))
    assert asr("caption", folder, "--model", run, "--attention", tmp_path).status == 0
    with Image.open(tmp_path / "red.png") as drawn:
        assert drawn.width == 160 * min(6, len(caption.text.split()) + 1)
    twice = folder / "again"
    twice.mkdir()
    Image.new("RGB", (8, 8)).save(twice / "red.png")
    outcome = asr("caption", folder, "--model", run, "--attention", tmp_path)
    outcome.check_refusal("several images are called red")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task.frozen": False}, "data.cache is for an encoder that is not trained"),
        ({"image_encoder.weights": None}, "image_encoder.weights: a frozen encoder needs trained weights"),
        ({"image_encoder.num_classes": 11}, r"encoder\.safetensors: classifier\.1\.weight has shape \(10, 1280\)"),
        ({"task.image_size": 16}, "image_size=16"),
        ({"data.train": ["a", "b"]}, r"data.train=\['a', 'b'\]: expected a path$"),
        ({"data.mirrored": True}, "data has no option mirrored"),
    ],
)
def test_wrong_settings(caption_config: Config, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(caption_config(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()
