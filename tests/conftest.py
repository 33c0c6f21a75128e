"""Fixtures of all tests: small trained networks, and where the real data sets are."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the commands have it

import hypothesis
import pytest

from tests.networks import batch_norm_network, classification_data, dense_network, train

hypothesis.settings.register_profile("default", deadline=None, max_examples=50)
hypothesis.settings.load_profile("default")

_PREPARED = pathlib.Path(__file__).parents[2] / "shared" / "tfds"


def pytest_configure(config):
    if "TFDS_DATA_DIR" not in os.environ and _PREPARED.is_dir():
        os.environ["TFDS_DATA_DIR"] = str(_PREPARED)


def pytest_collection_modifyitems(items):
    if "TFDS_DATA_DIR" in os.environ:
        return
    reason = "MNIST and CIFAR-10 are not prepared here: set TFDS_DATA_DIR to a TFDS folder"
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def dense_pair():
    x, y = classification_data((5,))
    return *(train(dense_network(seed), x, y) for seed in (0, 1)), (x, y)


@pytest.fixture(scope="session")
def deep_pair():
    x, y = classification_data((5,))
    return *(train(dense_network(seed, widths=(7, 6)), x, y) for seed in (0, 1)), (x, y)


@pytest.fixture(scope="session")
def batch_norm_pair():
    x, y = classification_data((6, 6, 2))
    return *(train(batch_norm_network(seed), x, y) for seed in (0, 1)), (x, y)
