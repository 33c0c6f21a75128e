"""`reproduce`: measures the rows of a table, keeping what is done."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from mc_keras.reproduction.chains import AS_USUAL, Chains
from mc_keras.reproduction.measurement import Measurement
from mc_keras.reproduction.published import Table
from mc_keras.reproduction.result import Reproduction
from mc_keras.reproduction.rows import THE_ZOOS, Connections, check_connections, chosen_rows
from mc_keras.storage import PathLike


def reproduce(
    table: Table,
    pairs: Mapping[str, tuple[keras.Model, keras.Model]],
    data: Any,
    folder: PathLike,
    *,
    rows: Iterable[str] | None = None,
    chains: Chains = AS_USUAL,
    connections: Connections = THE_ZOOS,
    num_points: int | None = None,
    train_examples: int | None = None,
    fit_examples: int | None = None,
    seed: int = 0,
    keep_paths: bool = False,
    about: Mapping[str, Any] | None = None,
    verbose: int = 1,
) -> Reproduction:
    """Measure the rows of a published table on pairs of networks, and write them beside it.

    Into the folder go `table.md`, `table.csv`, `table.json`, `table.png`, the accuracies along the
    paths as `curves_<pair>_<split>.png`, and, below `pairs/<pair>`, a report for each row. A report
    that is there is taken if it was made in the same way from the same networks and data, so rows
    come in any order, in one run or in several, and a run that was killed goes on where it was. The
    table has all rows that are done in this way; those of other settings stay beside them and are
    taken again when their settings are. Several processes may write to one folder: each row is made
    by one of them.

    Args:
        table: The table.
        pairs: Name to start and end of each pair.
        data: Splits `"train"` and `"test"`, as `(x, y)` or `tf.data.Dataset`.
        folder: Where to write.
        rows: Names of the rows to compute, those of further methods among them; all of the table
            that there are methods for if not given. The end points are always computed.
        chains: How chains are trained.
        connections: By row, `"rnvp_bijection"`, `"rnvp_flow"` or `"iaf_flow"`, the `.keras` file of
            a connection model to take instead of the zoo's.
        num_points: Positions at which a path is measured, besides its knots; the table's own number
            if not given.
        train_examples: How many training examples, from the first on, paths are measured on; the
            table's own number if not given. More than there are: all.
        fit_examples: Likewise, how many, drawn at random, layers are solved for on. Chains are
            trained on all of them in any case.
        seed: Seed of everything random.
        keep_paths: Whether the files of measured paths stay; they may be large.
        about: JSON-able mapping to be kept in the results, such as `{"command": ...}`.
        verbose: 0 silent, 1 a progress bar and a line for each row, 2 a bar for every training
            and evaluation.

    Returns:
        All rows that are done, as they were written.

    Raises:
        TypeError: If something is of the wrong kind.
        ValueError: If there is no pair, no such method, or networks and data do not fit.
        OSError: If the folder cannot be written. Files are whole or absent.
    """
    if not pairs:
        raise ValueError("There is nothing to measure: expected at least one pair of networks.")
    check_connections(connections)
    wanted = chosen_rows(table, rows, next(iter(pairs.values()))[0], connections)
    measurement = Measurement(
        table,
        pairs,
        data,
        folder,
        chains=chains,
        connections=connections,
        num_points=num_points,
        train_examples=train_examples,
        fit_examples=fit_examples,
        seed=seed,
        keep_paths=keep_paths,
        about=about,
        verbose=verbose,
    )
    return measurement.make(wanted)
