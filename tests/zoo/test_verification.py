import dataclasses
import shutil

import numpy as np
import pytest

import mc_keras as mc
from mc_keras.zoo import entries, manifest
from mc_keras.zoo.verification import measure, verify


def test_packed_pair_is_what_its_manifest_says(tiny_zoo):
    comparisons = verify("tiny_digits", tiny_zoo)
    assert {(c.role, c.metric) for c in comparisons} == {
        (role, metric) for role in entries.ROLES for metric in entries.METRICS
    }
    for comparison in comparisons:
        assert comparison.measured == pytest.approx(comparison.expected, rel=1e-5)
        assert comparison.agrees


@pytest.mark.parametrize(
    "name",
    [
        "fc1_digits_rnvp_bijection",
        pytest.param("fc1_digits_rnvp_flow", marks=pytest.mark.slow),
        pytest.param("fc1_digits_iaf_flow", marks=pytest.mark.slow),
        pytest.param("fc_mnist_rnvp_bijection", marks=[pytest.mark.slow, pytest.mark.real_data]),
        pytest.param("fc_cifar10_rnvp_bijection", marks=[pytest.mark.slow, pytest.mark.real_data]),
    ],
)
def test_shipped_connection_model_is_what_its_manifest_says(name):
    comparisons = verify(name)
    assert {(c.role, c.metric) for c in comparisons} == {
        ("path", metric) for metric in entries.CONNECTION_METRICS
    }
    assert all(comparison.agrees for comparison in comparisons)


def test_wrong_numbers_in_a_manifest_are_found(tiny_zoo):
    entry = manifest.load_manifest(tiny_zoo)["tiny_digits"]
    metrics = {role: dict(entry.metrics[role]) for role in entries.ROLES}
    metrics["start"]["test_accuracy"] += 2.1 / 355
    metrics["start"]["train_accuracy"] += 0.9 / 1442
    metrics["end"]["train_loss"] *= 1.01
    manifest.put_entry(tiny_zoo, dataclasses.replace(entry, metrics=metrics))
    wrong = [(c.role, c.metric) for c in verify("tiny_digits", tiny_zoo) if not c.agrees]
    assert wrong == [("start", "test_accuracy"), ("end", "train_loss")]


@pytest.mark.slow
def test_a_network_larger_than_memory_is_named(tiny_zoo, tmp_path):
    shutil.copytree(tiny_zoo, tmp_path, dirs_exist_ok=True)
    entry = manifest.load_manifest(tmp_path)["tiny_digits"]
    config = {**entry.architecture.config, "hidden": [10**12]}
    architecture = dataclasses.replace(entry.architecture, config=config)
    manifest.put_entry(tmp_path, dataclasses.replace(entry, architecture=architecture))
    with pytest.raises(ValueError, match=r"describes 'tiny_digits' do not fit into memory: .*1000"):
        verify("tiny_digits", tmp_path)


def test_measure_agrees_with_keras(tiny_zoo):
    pair = mc.zoo.load_pair("tiny_digits", tiny_zoo)
    data = mc.zoo.load_data("digits")
    numbers = measure(pair.start, data)
    x, y = data.test
    logits = pair.start.predict(x, verbose=0).astype("float64")
    log_likelihood = logits[np.arange(len(y)), y] - np.log(np.exp(logits).sum(1))
    assert numbers["test_loss"] == pytest.approx(-log_likelihood.mean(), rel=1e-5)
    assert numbers["test_accuracy"] == np.mean(logits.argmax(1) == y)
    assert list(numbers) == list(entries.METRICS)


def test_nan_does_not_agree(tiny_zoo):
    comparison = verify("tiny_digits", tiny_zoo)[0]
    assert not dataclasses.replace(comparison, measured=float("nan")).agrees
