"""Models in the format of `transformers`: tiny ones with random weights, beside what transformers makes of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import asr as asr_
from asr.errors import InputError
from asr.utils.torchaudio import import_torchaudio

import_torchaudio()  # before transformers does
transformers = pytest.importorskip("transformers")

LABELS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
Command = Callable[..., Any]


def save(
    folder: Path,
    labels: list[str],
    family: str = "Wav2Vec2",
    dtype: torch.dtype = torch.float32,
    extractor: dict[str, Any] | None = None,
    as_processor: bool = False,
    **options: Any,
) -> Any:
    """Write a model with random weights, which never says control symbols."""
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({label: n for n, label in enumerate(labels)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), pad_token=labels[0])
    features = transformers.Wav2Vec2FeatureExtractor(**extractor or {})
    if as_processor:
        transformers.Wav2Vec2Processor(features, tokenizer).save_pretrained(folder)
    else:
        tokenizer.save_pretrained(folder)
        features.save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    make_config, make_network = (getattr(transformers, f"{family}{part}") for part in ("Config", "ForCTC"))
    config = make_config(vocab_size=len(labels), conv_dim=(8,) * 7, pad_token_id=0, **sizes, **options)
    network = make_network(config).eval()
    with torch.no_grad():
        network.lm_head.weight *= 20
        network.lm_head.bias[1:4] = -100.0
    network.to(dtype).save_pretrained(folder)
    return network


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "tiny"
    save(folder, LABELS)
    return folder


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pieces = [rng.normal(0, 0.1 * rng.random(), 800) for _ in range(int(seconds * 20))]
    return np.concatenate(pieces).astype(np.float32)


def test_the_text_is_that_of_transformers(model: Path) -> None:
    recognizer = asr_.load(f"hf:{model}")
    assert recognizer.sample_rate == 16000 and recognizer.task.frame_seconds == 0.02
    network = transformers.AutoModelForCTC.from_pretrained(model)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    sounds = [noise(seconds, seed) for seed, seconds in enumerate((2, 1, 3.05))]
    results = dict(recognizer.transcribe_all(sounds))
    for number, sound in enumerate(sounds):
        with torch.no_grad():
            logits = network(**extractor(sound, sampling_rate=16000, return_tensors="pt")).logits
        expected = tokenizer.batch_decode(logits.argmax(-1))[0]
        assert len(expected) > 5
        assert results[number].text == " ".join(expected.split())
        assert recognizer.transcribe(sound) == results[number]
    assert recognizer.transcribe(noise(2)[:10], 16000).duration < 0.001  # fewer samples than its convolutions need
    long = recognizer.transcribe(noise(130))
    assert long.words[-1].end > 120


BASE = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
MASKED = {"return_attention_mask": True, "do_normalize": True}


@pytest.mark.parametrize(
    ("family", "options", "extractor", "dtype", "as_processor"),
    [
        ("Hubert", BASE, {"return_attention_mask": False, "do_normalize": False}, torch.float32, False),
        ("Hubert", LARGE, MASKED, torch.float32, True),
        ("WavLM", BASE, {"return_attention_mask": True, "do_normalize": False}, torch.float32, False),
        ("WavLM", LARGE, MASKED, torch.float16, False),
        ("Hubert", LARGE, MASKED, torch.float16, False),
        ("Wav2Vec2", LARGE, MASKED, torch.bfloat16, True),
        ("Wav2Vec2", BASE, {"do_normalize": False}, torch.float16, False),
    ],
)
def test_families_of_models(
    tmp_path: Path, family: str, options: Any, extractor: Any, dtype: torch.dtype, as_processor: bool
) -> None:
    """With their usual kinds of normalization, with and without a mask, and with weights of 16 bits."""
    folder = tmp_path / "tiny"
    save(folder, LABELS, family, dtype, extractor, as_processor, **options)
    recognizer = asr_.load(f"hf:{folder}")
    network = transformers.AutoModelForCTC.from_pretrained(folder).float().eval()
    processor = transformers.AutoProcessor.from_pretrained(folder)
    sound = noise(2)
    with torch.no_grad():
        logits = network(**processor(sound, sampling_rate=16000, return_tensors="pt")).logits
    expected = processor.batch_decode(logits.argmax(-1))[0]
    assert len(expected) > 5
    assert recognizer.transcribe(sound).text == " ".join(expected.split())


def test_our_decoders_and_alignment(model: Path) -> None:
    sound = noise(2)
    recognizer = asr_.load(f"hf:{model}", decoder={"type": "beam", "hotwords": {"door": 50.0}})
    assert "DOOR" in recognizer.transcribe(sound).text
    aligned = recognizer.align(sound, "Open the door")
    assert [word.text for word in aligned.words] == ["Open", "the", "door"]


def test_the_command(asr: Command, model: Path, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "a.wav", noise(2), 16000)
    done = asr("transcribe", tmp_path / "a.wav", "--model", f"hf:{model}", "--format", "srt")
    assert done.status == 0 and done.out.startswith("1\n00:00:0")
    (tmp_path / "a.txt").write_text("A B")
    asr("tune", f"hf:{model}", tmp_path).check_refusal("keeps no settings; --dry-run prints the best ones")
    assert "WER" in asr("evaluate", f"hf:{model}", tmp_path).out
    asr("info", f"hf:{model}").check_refusal("asr info is for models of this package")
    asr("transcribe", tmp_path / "a.wav", "--model", f"hf:{tmp_path}/none").check_refusal(
        "no such folder, and not a name"
    )
    asr("transcribe", tmp_path / "a.wav", "--model", f"hf:{tmp_path}").check_refusal("hf:.*: cannot be read")


def test_a_name_of_the_hub_without_a_connection(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """That is an error and no more: the hub's own warnings of each try are not shown."""

    def no_connection(*_: Any, **__: Any) -> None:
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s")
        raise OSError("We couldn't connect")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", no_connection)
    with pytest.raises(InputError, match=r"hf:owner/model: no folder of this name is here, .* `hf download` it"):
        asr_.load("hf:owner/model")
    assert "Retrying" not in capfd.readouterr().err
    with pytest.raises(InputError, match="hf:: no such folder"):
        asr_.load("hf:")


def test_labels_of_other_kinds(tmp_path: Path) -> None:
    save(tmp_path / "phones", ["<pad>", "<s>", "</s>", "<unk>", "dh", "ah", "k", "ae"])
    recognizer = asr_.load(f"hf:{tmp_path / 'phones'}")
    assert recognizer.vocabulary.kind == "phones"
    assert set(recognizer.transcribe(noise(1)).text.split()) <= {"dh", "ah", "k", "ae"}
    save(tmp_path / "pieces", ["<pad>", "<s>", "</s>", "<unk>", "▁bun", "ny"])
    with pytest.raises(InputError, match=r"its labels are pieces of words; asr\.Decoder decodes"):
        asr_.load(f"hf:{tmp_path / 'pieces'}")


def test_adapters_of_languages(tmp_path: Path) -> None:
    """As MMS has them: labels and the last layer of each language in files of their own."""
    folder = tmp_path / "mms"
    network = save(folder, ["<pad>", "<s>", "</s>", "<unk>", "|", *"abc"], adapter_attn_dim=4)
    adapters = {name: weight.clone() for name, weight in network._get_adapters().items()}
    save_file(adapters, folder / "adapter.eng.safetensors")
    german = {
        **adapters,
        "lm_head.weight": torch.randn(9, 16),
        "lm_head.bias": torch.tensor([0.0] + [-9.0] * 3 + [5.0] * 5),
    }
    save_file(german, folder / "adapter.deu.safetensors")
    nested = {
        "eng": {label: n for n, label in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"abc"])},
        "deu": {label: n for n, label in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"äöüß"])},
    }
    (folder / "vocab.json").write_text(json.dumps(nested))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), target_lang="eng")
    tokenizer.save_pretrained(folder)
    assert set(asr_.load(f"hf:{folder}@deu").transcribe(noise(1)).text) <= set("äöüß ")
    assert asr_.load(f"hf:{folder}@deu").vocabulary.tokens == ("<blank>", " ", *"äöüß")
    with pytest.raises(InputError, match="fra"):
        asr_.load(f"hf:{folder}@fra")
