"""Exported recognizers: the same log-probabilities and transcripts, in onnxruntime; refusals."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

import asr as package
from asr.errors import InputError
from asr.inference import windows
from asr.models import directory, info, onnx_export, store
from asr.models.onnx_task import OnnxTask
from asr.tasks.ctc import CTCTask
from asr.training.run import train

MISSING = [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs the extra onnx; not installed: {', '.join(MISSING)}")

Command = Callable[..., Any]
DOCS = Path(__file__).parents[2] / "docs"

FEATURES = {"normalization": "both", "mean_fraction": 0.7, "scale": True, "remove_level": True}
FEATURES |= {"active": 7, "floor": 7, "denoise": True}
ENCODER = {"hidden_size": 32, "num_layers": 2, "stack": 1, "stride": 2, "channels": [4]}
HEADS = {
    "text": {"kind": "characters", "normalization": "english"},
    "phones": {"kind": "phones", "blank_penalty": 1.0},
}


@pytest.fixture(scope="module")
def model(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_config: Callable[..., dict[str, Any]],
    tone_corpus: Callable[..., Path],
    tone_texts: Callable[..., list[str]],
) -> Path:
    """A trained model with all that an export has to follow: convolutions, self-conditioning, two heads and views."""
    folder = tmp_path_factory.mktemp("model")
    settings = {f"features.{key}": value for key, value in FEATURES.items()}
    settings |= {f"encoder.{key}": value for key, value in ENCODER.items()}
    settings |= {"task.heads": HEADS, "task.self_condition": [1], "task.warps": [0.96, 1.04], "trainer.epochs": 60}
    train(tiny_config(folder, tone_corpus(folder / "corpus", tone_texts(8)), **settings))
    return folder / "model"


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("exported") / "model"
    result = onnx_export.export_model(model, output)
    assert result.largest < 1e-3 and result.directory == output
    return output


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    """A copy of the exported model, to be damaged."""
    return shutil.copytree(exported, tmp_path / "copy")


def test_the_files_are_those_of_the_model(model: Path, exported: Path) -> None:
    names = {path.name for path in model.iterdir()} - {"weights.safetensors"} | {"model.onnx"}
    assert {path.name for path in exported.iterdir()} == names
    assert not [path for path in exported.parent.iterdir() if path != exported]  # nothing temporary
    assert info.read(exported)["weights"] == sum(p.numel() for p in store.load(model, CTCTask).parameters())
    assert b"/asr/" not in (exported / "model.onnx").read_bytes()  # no paths of this machine


def test_models_of_the_decoder_keep_their_weights(model: Path, tmp_path: Path) -> None:
    with_lm = shutil.copytree(model, tmp_path / "with a language model")
    shutil.copytree(model, with_lm / "rescoring_lm")
    onnx_export.export_model(with_lm, tmp_path / "output")
    names = {path.name for path in model.iterdir()}
    assert {path.name for path in (tmp_path / "output/rescoring_lm").iterdir()} == names


def test_log_probabilities_are_torchs_in_a_batch_and_alone(model: Path, exported: Path) -> None:
    task, network = store.load(model, CTCTask), OnnxTask.load(exported)
    assert network.alignment_head == task.alignment_head == "phones"
    assert network.frame_seconds == task.frame_seconds
    for inputs, lengths in onnx_export.utterances(task, seed=7):
        with torch.inference_mode():
            expected, frames = task(inputs, lengths)
        found, found_frames = network(inputs, lengths)
        assert torch.equal(found_frames, frames) and list(found) == list(expected)
        for row, count in enumerate(frames.tolist()):
            own = inputs[row : row + 1, : lengths[row]], lengths[row : row + 1]
            alone, _ = network(*own, ["text"])
            torch.testing.assert_close(alone["text"][0, :count], found["text"][row, :count], atol=1e-4, rtol=0)
            for head in expected:
                torch.testing.assert_close(found[head][row, :count], expected[head][row, :count], atol=1e-3, rtol=0)


def test_networks_that_compute_in_bfloat16_are_compared_in_float32(
    model: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = store.load(model, CTCTask)
    monkeypatch.setattr(task.encoder, "inference_precision", "bfloat16")
    largest, _ = onnx_export.difference(task, OnnxTask.load(exported))
    assert largest < 1e-3


@pytest.mark.parametrize("core", [60.0, 0.6], ids=["whole", "in windows"])
def test_transcripts_and_alignments_are_the_models(
    model: Path, exported: Path, tones: Command, monkeypatch: pytest.MonkeyPatch, core: float
) -> None:
    monkeypatch.setattr(windows, "MIN_CORE_SECONDS", core / 2)
    monkeypatch.setattr(windows, "MAX_CORE_SECONDS", core)
    monkeypatch.setattr(windows, "CONTEXT_SECONDS", 0.1)
    texts = ["ag cd", "fe", "hag ced caf fad gah"]
    sources = [tones(text, 50 + seed) for seed, text in enumerate(texts)]
    ours, theirs = package.load(exported / "model.onnx"), package.load(model)
    for source, text in zip(sources, texts, strict=True):
        for found, expected in (
            (ours.transcribe(source), theirs.transcribe(source)),
            (ours.align(source, text, head="text"), theirs.align(source, text, head="text")),
        ):
            assert found.text == expected.text
            times = [[(word.start, word.end) for word in transcript.words] for transcript in (found, expected)]
            assert times[0] == times[1]
    assert any(theirs.transcribe(source).text for source in sources)
    assert "on cpu" in repr(ours)


def test_commands_take_the_directory_and_the_file(asr: Command, model: Path, exported: Path) -> None:
    wav = model.parent / "corpus" / "train0.wav"
    expected = asr("transcribe", wav, "--model", model, "--format", "json")
    assert asr("transcribe", wav, "--model", exported / "model.onnx", "--format", "json") == expected
    data = model.parent / "corpus" / "train.jsonl"
    scores, expected = (asr("evaluate", path, data, "--worst", 0) for path in (exported, model))
    assert scores == expected and "head text" in scores.out
    assert asr("info", exported).out.startswith("model")


def test_the_example_of_the_documentation(
    exported: Path, tones: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "onnx.md").read_text(encoding="utf-8"), re.DOTALL | re.M)
    soundfile.write(tmp_path / "speech.wav", tones("ab cd", 3), 8000)
    (tmp_path / "english-onnx").symlink_to(exported)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/onnx.md", "exec"), {})
    expected = package.load(exported, head="text", decoder={"type": "greedy"}).transcribe("speech.wav").text
    assert capsys.readouterr().out.strip() == expected


def test_eight_bits_are_smaller_and_near(model: Path, exported: Path, copy: Path) -> None:
    import onnx

    network = onnx_export._quantized(onnx.load(exported / "model.onnx"))
    assert {"DynamicQuantizeLSTM"} <= {node.op_type for node in network.graph.node}
    (copy / "model.onnx").write_bytes(network.SerializeToString())
    task = store.load(model, CTCTask)
    largest, mean = onnx_export.difference(task, OnnxTask.load(copy))
    assert largest > 1e-3 and mean < onnx_export.LIMITS["int8"][1]


def test_a_wrong_network_is_refused_and_leaves_nothing(
    asr: Command, model: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    network = onnx.load(exported / "model.onnx")
    (bias,) = [value for value in network.graph.initializer if value.name.endswith("heads.text.bias")]
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) * 1.2 + 0.1, bias.name))

    def write(task: CTCTask, path: Path, int8: bool) -> None:
        path.write_bytes(network.SerializeToString())

    monkeypatch.setattr(onnx_export, "write_network", write)
    outcome = asr("export", model, "--output", tmp_path / "wrong")
    outcome.check_refusal(r"the exported network differs from torch: log-probabilities by up to 0.\d+ nats, .*nothing")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported(asr: Command, model: Path, class_run: Path, exported: Path, tmp_path: Path) -> None:
    asr("export", class_run, "--output", tmp_path / "x").check_refusal(
        "a classifier; speech recognizers of type ctc can"
    )
    asr("export", exported, "--output", tmp_path / "x").check_refusal("an exported model has no weights; use the model")
    asr("export", model, "--output", exported).check_refusal("exists; --overwrite replaces an exported model$")
    (tmp_path / "full").mkdir()
    asr("export", model, "--output", tmp_path / "full", "--overwrite").check_refusal("full: exists$")
    asr("export", model, "--output", model, "--overwrite").check_refusal("the model that is exported; choose another")
    assert asr("export", model, "--output", tmp_path / "x", "--format", "tflite").status == 2
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_damaged_and_missing_files(asr: Command, model: Path, copy: Path, tmp_path: Path) -> None:
    wav = model.parent / "corpus" / "train0.wav"

    def refused(message: str, path: Path = copy) -> None:
        asr("transcribe", wav, "--model", path).check_refusal(message)

    refused("none.onnx: no such model directory", tmp_path / "none.onnx")
    content = (copy / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(content)
    refused(r"model.onnx: the files that asr export writes beside it are missing \(config", tmp_path / "model.onnx")
    (copy / "english.onnx").write_bytes(content)
    refused(r"english.onnx: an exported network is called model.onnx", copy / "english.onnx")
    for damaged in (b"", b"no network", content[: len(content) // 2]):
        (copy / "model.onnx").write_bytes(damaged)
        refused(r"model.onnx: (cannot be opened by onnxruntime: |not written by asr export)")
    (copy / "model.onnx").write_bytes(content)
    (copy / "vocabulary.txt").write_bytes((copy / "vocabulary.phones.txt").read_bytes())
    refused("model.onnx: does not fit the vocabulary of the head 'text' beside it")
    (copy / "vocabulary.txt").unlink()
    refused(r"vocabulary.txt: ")
    shutil.copyfile(model / "vocabulary.txt", copy / "vocabulary.txt")
    assert asr("transcribe", wav, "--model", copy).status == 0
    asr("transcribe", wav, "--model", copy, "--device", "cuda").check_refusal("an exported model runs on the cpu")
    shutil.copyfile(model / "weights.safetensors", copy / "weights.safetensors")
    refused("holds weights.safetensors and model.onnx; a model directory has one of them")


def test_networks_of_other_programs_and_versions(copy: Path, model: Path, asr: Command) -> None:
    import onnx

    network = onnx.load(copy / "model.onnx")
    values = {entry.key: entry for entry in network.metadata_props}
    for key, value, message in (
        ("sample_rate", "16000", "does not fit config.yaml beside it: another sample rate"),
        ("heads", "[", "damaged metadata, key heads"),
        ("format", "2", "format 2 of another version of asr; this one reads 1"),
    ):
        values[key].value = value
        (copy / "model.onnx").write_bytes(network.SerializeToString())
        with pytest.raises(InputError, match=message):
            package.load(copy)
    del network.metadata_props[:]
    (copy / "model.onnx").write_bytes(network.SerializeToString())
    with pytest.raises(InputError, match="not written by asr export: its metadata lack the key format"):
        package.load(copy)


def test_without_the_extra(asr: Command, model: Path, exported: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = r"the extra onnx is not installed \(pip install 'asr-recurrent\[onnx\]'\)$"
    asr("export", model, "--output", tmp_path / "x").check_refusal(f"asr export: {message}")
    wav = model.parent / "corpus" / "train0.wav"
    asr("transcribe", wav, "--model", exported).check_refusal(f"model.onnx: {message}")


def test_find(exported: Path) -> None:
    assert directory.find(exported / "model.onnx") == directory.find(exported) == exported
