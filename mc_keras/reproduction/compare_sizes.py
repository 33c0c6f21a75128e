"""`compare_sizes`: measures the methods on networks of several sizes, keeping what is done."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from mc_keras.locks import LOCK, locked
from mc_keras.reproduction.measurement import Measurement
from mc_keras.reproduction.reproduce import reproduce
from mc_keras.reproduction.result import Reproduction
from mc_keras.reproduction.rows import connector_of
from mc_keras.reproduction.study import METHODS, Study, StudyResult
from mc_keras.reproduction.study_writing import write_study
from mc_keras.reproduction.writing import TABLE
from mc_keras.storage import PathLike

Pairs = Mapping[str, tuple[keras.Model, keras.Model]]


def compare_sizes(
    study: Study,
    networks: Callable[[int], Pairs],
    data: Any,
    folder: PathLike,
    *,
    kept_networks: Callable[[int], Pairs | None] | None = None,
    sizes: Sequence[int] | None = None,
    rows: Sequence[str] = METHODS,
    **settings: Any,
) -> StudyResult:
    """Measure methods on networks of growing size, and write a table and a figure of them.

    Into the folder go `study.md`, `study.csv`, `study.json` and `study.png`, anew after each size,
    and below `<size>` all that `reproduce` writes for it: rows that are done are kept in the same
    way. Sizes of earlier runs are written with them if all is as it would be now. Rows that do not
    apply to networks of a size are left out of it.

    Args:
        study: What grows.
        networks: Gives the pairs of a size, by name: their start and end.
        data: Splits `"train"` and `"test"`.
        folder: Where to write.
        kept_networks: The same for a size of an earlier run, without training them; `None` if there
            are none. If not given, `networks` gives those of `sizes`, and other sizes are left out.
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

    def earlier(size: int) -> Reproduction | None:
        if kept_networks is not None:
            pairs = kept_networks(size)
        else:
            pairs = networks(size) if size in sizes else None
        if pairs is None:
            return None
        return Measurement(
            study.table(size, rows), pairs, data, folder / str(size), **settings
        ).kept()

    results: dict[int, Reproduction] = {}
    for size in sizes:
        results[size] = reproduce(
            study.table(size, rows), networks(size), data, folder / str(size), **settings
        )
        with locked(folder / LOCK, f"writes the study {study.folder}"):
            done = {**_kept(folder, earlier, results), **results}
            studied = StudyResult(study, dict(sorted(done.items())))
            write_study(folder, studied)
    return studied


def _kept(
    folder: pathlib.Path,
    earlier: Callable[[int], Reproduction | None],
    results: Mapping[int, Reproduction],
) -> dict[int, Reproduction]:
    """What earlier runs, and other processes, measured of the sizes that are not in `results`."""
    sizes = {
        int(file.parent.name) for file in folder.glob(f"*/{TABLE}") if file.parent.name.isdecimal()
    }
    kept = {size: earlier(size) for size in sizes - set(results)}
    # The end points are measured in the same way whatever the settings are.
    return {size: result for size, result in kept.items() if result and len(result.rows) > 1}
