"""`compare_sizes`: measures the methods on networks of several sizes, keeping what is done."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from mc_keras.reproduction.reproduce import reproduce
from mc_keras.reproduction.rows import connector_of
from mc_keras.reproduction.study import METHODS, Study, StudyResult
from mc_keras.reproduction.study_writing import write_study
from mc_keras.storage import PathLike


def compare_sizes(
    study: Study,
    networks: Callable[[int], Mapping[str, tuple[keras.Model, keras.Model]]],
    data: Any,
    folder: PathLike,
    *,
    sizes: Sequence[int] | None = None,
    rows: Sequence[str] = METHODS,
    **settings: Any,
) -> StudyResult:
    """Measure methods on networks of growing size, and write a table and a figure of them.

    Into the folder go `study.md`, `study.csv`, `study.json` and `study.png`, anew after each size,
    and below `<size>` all that `reproduce` writes for it: rows that are done are kept in the same
    way. Rows that do not apply to networks of a size are left out of it.

    Args:
        study: What grows.
        networks: Gives the pairs of a size, by name: their start and end.
        data: Splits `"train"` and `"test"`.
        folder: Where to write.
        sizes: Instead of the study's own.
        rows: Names of methods. The end points are always measured.
        **settings: As for `reproduce`: `chains`, `num_points`, `train_examples`,
            `fit_examples`, `seed`, `keep_paths`, `about`, `verbose`.

    Returns:
        What was measured, as it was written.

    Raises:
        ValueError: If a size is not positive, or there is no such method.
        OSError: If the folder cannot be written.
    """
    sizes = study.sizes if sizes is None else sorted(set(sizes))
    if not sizes or min(sizes) < 1:
        raise ValueError(
            f"Sizes are numbers of {study.unit}, at least 1, such as {list(study.sizes)}; received "
            f"{list(sizes)}. Leave out those below 1."
        )
    for row in rows:
        connector_of(row)
    folder = pathlib.Path(folder)
    results = {}
    for size in sizes:
        results[size] = reproduce(
            study.table(size, rows), networks(size), data, folder / str(size), **settings
        )
        write_study(folder, StudyResult(study, results))
    return StudyResult(study, results)
