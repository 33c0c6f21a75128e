"""`reproduce`: measures the rows of a table, keeping what is done."""

import dataclasses
import datetime
import functools
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from mc_keras.evaluation import PathReport
from mc_keras.evaluation.points import checked_splits
from mc_keras.progress import ProgressBar
from mc_keras.provenance import versions
from mc_keras.reproduction.chains import AS_USUAL, Chains
from mc_keras.reproduction.kept_reports import KeptReports
from mc_keras.reproduction.published import Table
from mc_keras.reproduction.result import SPLITS, Reproduction
from mc_keras.reproduction.rows import chosen_rows, connector_of
from mc_keras.reproduction.writing import write
from mc_keras.storage import PathLike
from mc_keras.weight_space import check_same_architecture
from mc_keras.workspace import Workspace


def reproduce(
    table: Table,
    pairs: Mapping[str, tuple[keras.Model, keras.Model]],
    data: Any,
    folder: PathLike,
    *,
    rows: Iterable[str] | None = None,
    chains: Chains = AS_USUAL,
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
    table has all rows that are done.

    Args:
        table: The table.
        pairs: Name to start and end of each pair.
        data: Splits `"train"` and `"test"`, as `(x, y)` or `tf.data.Dataset`.
        folder: Where to write.
        rows: Names of the rows to compute, those of further methods among them; all of the table
            that there are methods for if not given. The end points are always computed.
        chains: How chains are trained.
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
    wanted = chosen_rows(table, rows, next(iter(pairs.values()))[0])
    for start, end in pairs.values():
        check_same_architecture(start, end)
    splits = checked_splits(next(iter(pairs.values()))[0], data)
    num_points = table.num_points if num_points is None else num_points
    train_examples = table.train_examples if train_examples is None else train_examples
    fit_examples = table.fit_examples if fit_examples is None else fit_examples
    if min(n for n in (train_examples, fit_examples, 1) if n is not None) < 1:
        raise ValueError(
            "Paths are found with, and measured on, at least one example, received "
            f"fit_examples={fit_examples}, train_examples={train_examples}."
        )
    if not set(SPLITS) <= set(splits):
        raise ValueError(f"A table needs the splits 'train' and 'test', received {sorted(splits)}.")
    splits = {split: splits[split] for split in SPLITS}
    measured = {**splits, "train": tuple(array[:train_examples] for array in splits["train"])}
    folder = pathlib.Path(folder)
    bar = ProgressBar(table.name, len(pairs) * len(wanted), verbose=int(verbose == 1))
    reports: dict[str, dict[str, PathReport]] = {}
    made_of = {}
    for pair, (start, end) in pairs.items():
        workspace = Workspace(
            folder / "pairs" / pair,
            start,
            end,
            splits,
            measured=measured,
            seed=seed,
            verbose=int(verbose == 2),
        )
        kept = KeptReports(
            folder / "pairs" / pair,
            workspace,
            functools.partial(connector_of, chains=chains, fit_examples=fit_examples),
            num_points,
            bar,
        )
        for row in wanted:
            reports.setdefault(row, {})[pair] = kept.get(row)
            workspace.forget(row, keep_path=keep_paths)
        for row in kept.others(wanted):
            report = kept.load(row)
            if report is not None:
                reports.setdefault(row, {})[pair] = report
        made_of[pair] = {role: workspace.origin[role] for role in ("start", "end")}
    result = Reproduction(
        table,
        # A row that some of the pairs lack would be a mean over other networks than its neighbours.
        {row: by_pair for row, by_pair in reports.items() if len(by_pair) == len(pairs)},
        {
            **(about or {}),
            "pairs": made_of,
            "data": workspace.origin["data"],
            "measured_on": {split: len(y) for split, (_, y) in measured.items()},
            "fit_examples": fit_examples,
            "num_points": num_points,
            "chains": dataclasses.asdict(chains),
            "seed": seed,
            "versions": versions(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
    )
    write(folder, result)
    return result
