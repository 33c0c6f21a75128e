"""`load_data`: the digits builder, other data sets of tensorflow-datasets, and what goes wrong."""

import os
import subprocess
import sys
import threading
import time

import filelock
import numpy as np
import pytest
import sklearn.datasets

from mc_keras import locks
from mc_keras.zoo.datasets import DataSet, load_data
from tests.permissions import call_as_owner

LOAD_DIGITS = """
import socket, sys

def refuse(*args, **kwargs):
    raise AssertionError("a socket was opened")

# A resolver or a connection would go through one of these.
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from mc_keras.zoo.datasets import load_data
data = load_data("digits", sys.argv[1])
print(data.train[0].shape, int(data.train[0].sum()), data.test[0].shape, int(data.test[1].sum()))
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_data("digits", tmp_path_factory.mktemp("tfds"))


def loading(folder, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", LOAD_DIGITS, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_digits_are_raw_pixels_with_integer_labels(digits):
    assert isinstance(digits, DataSet)
    for (x, y), size in zip(digits, (1442, 355), strict=True):
        assert x.shape == (size, 8, 8, 1)
        assert x.dtype == np.uint8
        assert y.shape == (size,)
        assert y.dtype == np.int64
        assert set(y) == set(range(10))


def test_digits_are_those_of_scikit_learn(digits):
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    grey_levels = np.concatenate([x.reshape(-1, 64) for x, _ in digits]) / 255 * 16
    assert np.abs(grey_levels - np.rint(grey_levels)).max() < 0.04
    found = np.column_stack([np.concatenate([y for _, y in digits]), np.rint(grey_levels)])
    expected = np.column_stack([labels, images])
    assert sorted(map(tuple, found)) == sorted(map(tuple, expected))


def test_a_fifth_of_every_class_of_digits_is_for_testing(digits):
    train, test = (np.bincount(y) for _, y in digits)
    assert ((train + test) // 5 == test).all()


def test_digits_are_registered_with_tfds(digits, tmp_path):
    import tensorflow_datasets as tfds

    assert "digits" in tfds.list_builders(with_community_datasets=False)
    builder = tfds.builder("digits", data_dir=tmp_path)
    builder.download_and_prepare()
    images, labels = tfds.as_numpy(
        builder.as_dataset(split="test", batch_size=-1, as_supervised=True)
    )
    np.testing.assert_array_equal(images, digits.test[0])
    np.testing.assert_array_equal(labels, digits.test[1])


@pytest.mark.slow
def test_two_processes_prepare_digits_at_once_without_a_network(tmp_path, digits):
    (x_train, _), (x_test, y_test) = digits
    processes = [loading(tmp_path / "new" / "folder") for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert out == f"{x_train.shape} {x_train.sum()} {x_test.shape} {y_test.sum()}\n"
    prepared = tmp_path / "new" / "folder" / "digits"
    assert [p.name for p in prepared.iterdir() if p.is_dir()] == ["1.0.0"]


def test_waiting_for_another_process_is_announced(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locks, "_SILENT_WAIT", 0.05)
    (tmp_path / "digits").mkdir()
    held = threading.Event()

    def hold():
        with filelock.FileLock(tmp_path / "digits/.prepare.lock"):
            held.set()
            time.sleep(0.5)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(30)
    load_data("digits", tmp_path)
    assert "another process, which prepares the data set 'digits'" in capsys.readouterr().err
    other.join()


def test_environment_variable_names_the_folder(tmp_path, monkeypatch, digits):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "named"))
    np.testing.assert_array_equal(load_data("digits").train[0], digits.train[0])
    assert (tmp_path / "named" / "digits" / "1.0.0" / "dataset_info.json").is_file()


def test_digits_go_to_the_cache_where_the_folder_is_read_only(tmp_path, monkeypatch, digits):
    monkeypatch.setenv("MC_KERAS_HOME", str(tmp_path / "cache"))
    # The superuser, who may run this, can write to every folder.
    monkeypatch.setattr("mc_keras.zoo.datasets.loading._writable", lambda folder: False)
    np.testing.assert_array_equal(load_data("digits", tmp_path / "other").train[0], digits.train[0])
    assert (tmp_path / "cache" / "tfds" / "digits").is_dir()
    assert not (tmp_path / "other").exists()


def test_unknown_name_suggests_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"no data set 'cifr10'\. Did you mean 'cifar10'\?"):
        load_data("cifr10", tmp_path)
    with pytest.raises(ValueError, match=r"no data set 'digit'\. Did you mean 'digits'\?"):
        load_data("digit", tmp_path)
    assert not list(tmp_path.iterdir())


def test_version_that_does_not_exist(tmp_path):
    with pytest.raises(ValueError, match="cannot give the data set 'mnist:9.9.9'"):
        load_data("mnist:9.9.9", tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("iris", "is not one of images with one class label each"),
        ("imdb_reviews", "is not one of images with one class label each"),
        ("tf_flowers", "are not all of one size"),
    ],
)
def test_what_is_not_image_classification_is_refused_before_a_download(name, reason, tmp_path):
    with pytest.raises(ValueError, match=f"{name}' {reason}|{reason}"):
        load_data(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_data_folder_that_is_a_file(tmp_path):
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(NotADirectoryError, match="is not a folder that can be read; give another"):
        load_data("digits", file)


def test_data_folder_that_cannot_be_read(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with pytest.raises(NotADirectoryError, match="is not a folder that can be read; give another"):
        call_as_owner(load_data, "digits", closed)


def test_preparation_that_fails_says_what_to_do(tmp_path):
    (tmp_path / "digits").write_text("a file where the folder would be")
    with pytest.raises(OSError, match="could not prepare it there.*Give another `data_dir`"):
        load_data("digits", tmp_path)


def test_what_is_downloaded_to_where_is_told_before(tmp_path, monkeypatch, capsys):
    said = []

    def download(builder):
        said.append(capsys.readouterr().err)
        raise OSError("nothing is downloaded here")

    monkeypatch.setattr("tensorflow_datasets.core.DatasetBuilder.download_and_prepare", download)
    with pytest.raises(OSError, match="could not prepare it there: nothing is downloaded here"):
        load_data("mnist", tmp_path / "new")
    assert said == [f"Downloading the data set 'mnist' into {tmp_path / 'new'}.\n"]


def test_offline_nothing_is_downloaded(tmp_path, monkeypatch, digits):
    monkeypatch.setenv("MC_KERAS_OFFLINE", "1")
    with pytest.raises(OSError, match="'mnist' is not prepared in .* as MC_KERAS_OFFLINE is set"):
        load_data("mnist", tmp_path)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(load_data("digits", tmp_path).train[0], digits.train[0])


@pytest.mark.slow
@pytest.mark.real_data
def test_mnist_is_whole():
    (x_train, y_train), (x_test, y_test) = load_data("mnist")
    assert x_train.shape == (60000, 28, 28, 1)
    assert x_test.shape == (10000, 28, 28, 1)
    assert np.bincount(y_train).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert np.bincount(y_test).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    # The published sums of all pixels.
    assert x_train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert x_train.std() / 255 == pytest.approx(0.3081, abs=5e-5)


@pytest.mark.slow
@pytest.mark.real_data
def test_cifar10_is_whole():
    (x_train, y_train), (x_test, y_test) = load_data("cifar10")
    assert x_train.shape == (50000, 32, 32, 3)
    assert x_test.shape == (10000, 32, 32, 3)
    assert np.bincount(y_train).tolist() == [5000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    # The known means and deviations of the channels; a round of JPEG moves them this little.
    means = x_train.mean((0, 1, 2)) / 255
    deviations = x_train.std((0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=6e-3)
    np.testing.assert_allclose(deviations, [0.2470, 0.2435, 0.2616], atol=3e-3)
