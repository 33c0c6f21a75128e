"""Classification data sets in memory, read by tensorflow-datasets.

TensorFlow and tensorflow-datasets are imported on the first call, not with this file.
"""

import contextlib
import difflib
import io
import os
import pathlib
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mc_keras.locks import locked
from mc_keras.zoo.download import cache_folder, is_offline

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

Split = tuple[np.ndarray, np.ndarray]


class DataSet(NamedTuple):
    """Images and labels of the two splits.

    Attributes:
        train: Images, `uint8`, shape `(n, height, width, channels)`, and labels, `int64`, `(n,)`.
        test: Likewise.
    """

    train: Split
    test: Split


def load_data(name: str, data_dir: str | os.PathLike[str] | None = None) -> DataSet:
    """Loads a data set into memory.

    `digits` is made from scikit-learn's copy on first use, without a network. Everything else is
    prepared by tensorflow-datasets on first use, which downloads it unless `MC_KERAS_OFFLINE=1`; a
    line on stderr says what is downloaded to where.

    Args:
        name: `"digits"` or the name of an image classification data set of tensorflow-datasets,
            such as `"mnist"`, `"cifar10"` or `"name/config:1.0.0"`.
        data_dir: Folder of prepared data sets. Default: `TFDS_DATA_DIR`, else
            tensorflow-datasets' own default. Where `digits` is not in it and it cannot be written
            to, `digits` goes to `tfds` in the zoo's cache, see `mc_keras.zoo.download`.

    Returns:
        The training and the test split, raw pixels. Where there is no split `test`, the split
        `validation` stands in for it. The order is that of the prepared files.

    Raises:
        ValueError: If there is no such data set, or it is not one of equally large images with
            one label each and a training and a test split.
        OSError: If the folder cannot be used, or a download fails or is forbidden.

    Example:
    >>> data = load_data("digits")
    >>> data.train[0].shape, data.test[1].shape
    ((1442, 8, 8, 1), (355,))
    """
    builder = _builder(name, data_dir)
    _check_features(name, builder)
    _prepare(name, builder)
    splits = ["train", "test" if "test" in builder.info.splits else "validation"]
    for split in splits:
        if split not in builder.info.splits:
            raise ValueError(
                f"Data set {name!r} has no {split!r} split, only "
                f"{', '.join(map(repr, builder.info.splits))}; choose one that is divided into "
                "'train' and 'test'."
            )
    return DataSet(*(_read(builder, split) for split in splits))


def _builder(name: str, data_dir: str | os.PathLike[str] | None) -> "tfds.core.DatasetBuilder":
    """The builder of the data set in the folder where it is or will be."""
    import tensorflow_datasets as tfds

    from mc_keras.zoo.datasets import digits

    folder = pathlib.Path(data_dir or os.environ.get("TFDS_DATA_DIR") or _default_folder())
    folder = folder.expanduser()
    if folder.exists() and not (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)):
        raise NotADirectoryError(
            f"The data folder {folder} is not a folder that can be read; give another `data_dir` "
            "or set TFDS_DATA_DIR."
        )
    try:
        builder = tfds.builder(name, data_dir=folder)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
        raise ValueError(
            f"tensorflow-datasets knows no data set {name!r}. {hint}"
            "All names: https://www.tensorflow.org/datasets/catalog."
        ) from None
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"tensorflow-datasets cannot give the data set {name!r}: {error}"
        ) from error
    if isinstance(builder, digits.Digits) and not (_prepared(builder) or _writable(folder)):
        return digits.Digits(data_dir=cache_folder() / "tfds")
    return builder


def _default_folder() -> str:
    import tensorflow_datasets as tfds

    return tfds.core.constants.DATA_DIR


def _writable(folder: pathlib.Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _check_features(name: str, builder: "tfds.core.DatasetBuilder") -> None:
    """Refuses what is not image classification, before anything is downloaded."""
    import tensorflow_datasets as tfds

    features, keys = builder.info.features, builder.info.supervised_keys
    if (
        keys is None
        or len(keys) != 2
        or not isinstance(features[keys[0]], tfds.features.Image)
        or not isinstance(features[keys[1]], tfds.features.ClassLabel)
    ):
        raise ValueError(
            f"Data set {name!r} is not one of images with one class label each (its features are "
            f"{', '.join(features or ())}); choose an image classification data set."
        )
    image = features[keys[0]]
    if None in image.shape or image.np_dtype != np.uint8:
        raise ValueError(
            f"The images of data set {name!r} are not all of one size in uint8 (shape "
            f"{image.shape}, {np.dtype(image.np_dtype)}); choose another data set."
        )


def _prepared(builder: "tfds.core.DatasetBuilder") -> bool:
    return (pathlib.Path(builder.data_path) / "dataset_info.json").is_file()


def _prepare(name: str, builder: "tfds.core.DatasetBuilder") -> None:
    """Writes the data set's files, once, however many processes ask for it."""
    if _prepared(builder):
        return
    root = pathlib.Path(builder.data_path).parent
    if is_offline() and builder.name != "digits":
        raise OSError(
            f"Data set {name!r} is not prepared in {root.parent} and was not downloaded, as "
            "MC_KERAS_OFFLINE is set. Unset it, give another `data_dir`, or set TFDS_DATA_DIR."
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (
            locked(root / ".prepare.lock", f"prepares the data set {name!r}"),
            contextlib.ExitStack() as quiet,
        ):
            if _prepared(builder):
                builder.info.read_from_directory(builder.data_path)
                return
            if builder.name == "digits":
                # tensorflow-datasets speaks of a download, and there is none.
                quiet.enter_context(contextlib.redirect_stdout(io.StringIO()))
                quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
            else:
                print(
                    f"Downloading the data set {name!r} into {root.parent}.",
                    file=sys.stderr,
                    flush=True,
                )
            builder.download_and_prepare()
    except Exception as error:
        raise OSError(
            f"Data set {name!r} is not prepared in {root.parent} and tensorflow-datasets could "
            f"not prepare it there: {error}. Give another `data_dir`, set TFDS_DATA_DIR, or "
            "check the network."
        ) from error


def _read(builder: "tfds.core.DatasetBuilder", split: str) -> Split:
    import tensorflow_datasets as tfds

    dataset = builder.as_dataset(split=split, batch_size=-1, as_supervised=True)
    images, labels = tfds.as_numpy(dataset)
    return images, labels.astype("int64")
