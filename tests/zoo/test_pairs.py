import json

import numpy as np
import pytest

import mc_keras as mc
from mc_keras.zoo import entries, manifest, pairs
from mc_keras.zoo.card import card_text
from mc_keras.zoo.training import WEIGHTS_FILE
from tests.golden import NOT_SHIPPED, make

SHIPPED = sorted(manifest.load_manifest().entries.keys() - NOT_SHIPPED)


def test_pair_of_another_zoo_folder(tiny_zoo):
    pair = mc.zoo.load_pair("tiny_digits", tiny_zoo)
    assert pair.info == manifest.load_manifest(tiny_zoo)["tiny_digits"]
    start, end, _ = pair
    assert start.output_shape == end.output_shape == (None, 10)
    assert start is not end
    assert not np.allclose(start.get_weights()[0], end.get_weights()[0])


def test_weights_are_those_of_the_run_rounded_to_float16(tiny_zoo, runs):
    pair = mc.zoo.load_pair("tiny_digits", tiny_zoo)
    for model, run in zip(pair[:2], runs, strict=True):
        trained = pairs.read_weights(pair.info.architecture, run / WEIGHTS_FILE)
        for stored, exact in zip(model.get_weights(), trained.get_weights(), strict=True):
            assert stored.dtype == np.float32
            np.testing.assert_allclose(stored, exact, rtol=2**-11, atol=2**-24)


def test_pair_from_a_server(tiny_zoo, server, monkeypatch, tmp_path):
    monkeypatch.setenv("MC_KERAS_HOME", str(tmp_path / "cache"))
    for role in ("start", "end"):
        path = f"tiny_digits/{role}.weights.h5"
        server.files[f"/{path}"] = (tiny_zoo / path).read_bytes()
        (tiny_zoo / path).unlink()
    monkeypatch.setattr(manifest, "ZOO_FOLDER", tiny_zoo)
    pair = mc.zoo.load_pair("tiny_digits", server.url, verbose=0)
    assert pair.start.count_params() == 64 * 7 + 7 + 7 * 5 + 5 + 5 * 10 + 10
    assert len(server.requests) == 2


def test_unknown_pair():
    with pytest.raises(ValueError, match="The zoo has no entry 'fc_digit'"):
        mc.zoo.load_pair("fc_digit")


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "missing"])
def test_damaged_weights_are_one_clear_error(tiny_zoo, damage):
    file = tiny_zoo / "tiny_digits/end.weights.h5"
    contents = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        half = len(contents) // 2
        file.write_bytes(
            {
                "truncated": contents[:half],
                "altered": contents[:half] + bytes([contents[half] ^ 1]) + contents[half + 1 :],
                "empty": b"",
            }[damage]
        )
    message = {"missing": "does not exist", "altered": "is altered"}.get(damage, "is truncated")
    with pytest.raises(ValueError, match=f"tiny_digits/end.weights.h5.* {message}"):
        mc.zoo.load_pair("tiny_digits", tiny_zoo)


def test_read_weights_of_a_file_that_is_not_one(tiny_zoo):
    architecture = manifest.load_manifest(tiny_zoo)["tiny_digits"].architecture
    file = tiny_zoo / "tiny_digits/end.weights.h5"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ValueError, match="is truncated or altered, or it belongs to another"):
        pairs.read_weights(architecture, file)


def test_read_weights_of_another_network(tiny_zoo):
    architecture = entries.Architecture(
        "fully_connected", (8, 8, 1), 10, {"pixel_mean": [0], "pixel_std": [1], "hidden": [8, 5]}
    )
    with pytest.raises(ValueError, match="belongs to another network") as refused:
        pairs.read_weights(architecture, tiny_zoo / "tiny_digits/end.weights.h5")
    assert len(str(refused.value)) < 600  # not the weights that do not fit


@pytest.mark.parametrize("name", sorted(manifest.load_manifest().entries))
def test_pair_computes_its_golden_outputs(name):
    files = manifest.info(name).files.values()
    if name in NOT_SHIPPED and not all((manifest.ZOO_FOLDER / f.path).exists() for f in files):
        pytest.skip("its files are not here")
    golden = json.loads((make.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    for role, logits in make.outputs(mc.zoo.load_pair(name)).items():
        expected = np.asarray(golden["logits"][role])
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_digits_pairs_are_shipped_with_their_cards():
    assert {"fc_digits", "conv_digits", "resnet_digits"} <= set(SHIPPED)
    for name in SHIPPED:
        card = (manifest.ZOO_FOLDER / name / "README.md").read_text(encoding="utf-8")
        assert card == card_text(manifest.info(name))
