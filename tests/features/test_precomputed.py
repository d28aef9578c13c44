"""Features of other programs: Sphinx's and Kaldi's files."""

from __future__ import annotations

from pathlib import Path

import kaldiio
import librosa
import numpy as np
import pytest
import torch

from asr.errors import InputError
from asr.features import Precomputed, read_kaldi, read_sphinx


class TestPrecomputed:
    def test_deltas_and_normalization(self) -> None:
        inputs = torch.randn(2, 30, 13)
        lengths = torch.tensor([20, 12])
        extractor = Precomputed(13, frame_seconds=0.01)
        assert (extractor.dim, extractor.sample_rate) == (39, None)
        extractor.fit([(inputs, lengths)])
        features, frames = extractor(inputs, lengths)
        assert features.shape == (2, 20, 39)
        assert frames.tolist() == [20, 12]
        assert not features[1, 12:].any()
        own = torch.cat([features[0], features[1, :12]])
        torch.testing.assert_close(own.mean(0), torch.zeros(39), atol=1e-5, rtol=0)
        torch.testing.assert_close(own.std(0, correction=0), torch.ones(39), atol=1e-5, rtol=0)
        raw = Precomputed(13, normalization="none")(inputs, lengths)[0][1, :12].numpy()
        delta = librosa.feature.delta(inputs[1, :12].numpy(), axis=0, width=9, order=2, mode="nearest")
        np.testing.assert_allclose(raw[:, 26:], delta, rtol=1e-4, atol=1e-5)

    def test_wrong_dimension(self) -> None:
        with pytest.raises(InputError, match=r"\(N, T, 13\) is expected"):
            Precomputed(13, normalization="none")(torch.zeros(1, 5, 39), torch.tensor([5]))


def write_sphinx(path: Path, values: np.ndarray, order: str = ">", count: int | None = None) -> Path:
    count = values.size if count is None else count
    path.write_bytes(np.array(count, f"{order}i4").tobytes() + values.astype(f"{order}f4").tobytes())
    return path


class TestReadSphinx:
    @pytest.mark.parametrize("order", [">", "<"])
    def test_round_trip(self, tmp_path: Path, order: str) -> None:
        values = np.random.default_rng(0).standard_normal((7, 13)).astype(np.float32)
        read = read_sphinx(write_sphinx(tmp_path / "a.mfc", values, order))
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, values)

    def test_other_dimension(self, tmp_path: Path) -> None:
        path = write_sphinx(tmp_path / "a.mfc", np.zeros((5, 39)))
        assert read_sphinx(path, 39).shape == (5, 39)
        with pytest.raises(InputError, match=r"a\.mfc: 195 numbers do not make frames of 11"):
            read_sphinx(path, 11)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "0 bytes"),
            (b"\0\0", "2 bytes"),
            (b"\0\0\0\0", "0 numbers"),
            (b"\0\0\0\x0d" + bytes(40), "44 bytes, but its header announces 13 numbers"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "not a Sphinx feature file"),
            (b"\0\0\0\x0d" + b"\x7f\xc0\0\0" * 13, "not finite"),
        ],
    )
    def test_damaged(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "bad.mfc"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"bad\.mfc: .*{message}"):
            read_sphinx(path)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"none\.mfc: cannot be read"):
            read_sphinx(tmp_path / "none.mfc")

    def test_an4(self, shared_data: Path) -> None:
        path = min((shared_data / "an4").rglob("*.mfc"), default=None)
        if path is None:
            pytest.skip("no AN4 features in the shared data")
        features = read_sphinx(path)
        assert features.shape[1] == 13
        assert 20 < len(features) < 2000
        assert np.abs(features[:, 1:]).max() < 20


class TestReadKaldi:
    @pytest.mark.parametrize("compression", [None, 2])
    def test_archive(self, tmp_path: Path, compression: int | None) -> None:
        rng = np.random.default_rng(0)
        matrices = {f"utt{i}": rng.standard_normal((9 + i, 5)).astype(np.float32) for i in range(3)}
        ark, scp = tmp_path / "my feats.ark", tmp_path / "feats.scp"
        kaldiio.save_ark(str(ark), matrices, scp=str(scp), compression_method=compression)
        for line in scp.read_text().splitlines():
            name, spec = line.split(maxsplit=1)
            for entry in line, spec:
                read = read_kaldi(entry)
                assert read.dtype == np.float32
                np.testing.assert_allclose(read, matrices[name], atol=0.05 if compression else 0)

    def test_not_a_matrix(self, tmp_path: Path) -> None:
        ark = tmp_path / "a.ark"
        kaldiio.save_ark(str(ark), {"utt": np.zeros((4, 3), np.float32)})
        with pytest.raises(InputError, match=r"a\.ark: no binary Kaldi matrix"):
            read_kaldi(str(ark))  # the offset is missing
        with pytest.raises(InputError, match="no binary Kaldi matrix"):
            read_kaldi(f"{ark}:100000")
        ark.write_bytes(ark.read_bytes()[:-7])
        with pytest.raises(InputError, match=r"a\.ark:4: damaged"):
            read_kaldi(f"{ark}:4")

    def test_missing_and_commands(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"none\.ark:3: cannot be read"):
            read_kaldi(f"{tmp_path}/none.ark:3")
        with pytest.raises(InputError, match="cannot be read"):
            read_kaldi(f"utt touch {tmp_path}/ran |")
        assert not (tmp_path / "ran").exists()

    def test_pickles_are_not_loaded(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ark"
        kaldiio.save_ark(str(path), {"u": np.zeros((2, 2), np.float32)}, write_function="pickle")
        with pytest.raises(InputError, match="no binary Kaldi matrix"):
            read_kaldi(f"{path}:2")
