"""What a table is measured on, how, and what of that is done."""

import dataclasses
import datetime
import functools
import pathlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import keras

from mc_keras.architecture import check_same_architecture
from mc_keras.evaluation import PathReport
from mc_keras.evaluation.points import checked_splits
from mc_keras.locks import LOCK, locked
from mc_keras.progress import ProgressBar
from mc_keras.provenance import versions
from mc_keras.reproduction.chains import AS_USUAL, Chains
from mc_keras.reproduction.kept_reports import KeptReports
from mc_keras.reproduction.published import ENDS, Table
from mc_keras.reproduction.result import SPLITS, Reproduction
from mc_keras.reproduction.rows import THE_ZOOS, Connections, connector_of
from mc_keras.reproduction.writing import write
from mc_keras.storage import PathLike
from mc_keras.workspace import Workspace

Reports = dict[str, dict[str, PathReport]]


class Measurement:
    """A table, its networks, data and settings, and the reports that are kept in its folder.

    Args:
        table: The table.
        pairs: Name to start and end of each pair, at least one.
        data: Splits `"train"` and `"test"`.
        folder: Where to write.
        chains: See `reproduce`, as the others below.
        num_points: Positions on a path.
        train_examples: Training examples that paths are measured on.
        fit_examples: Training examples that layers are solved for on.
        seed: Seed of everything random.
        keep_paths: Whether the files of measured paths stay.
        about: To be kept in the results.
        verbose: 0, 1 or 2.

    Raises:
        ValueError: If networks, data and settings do not fit.
    """

    def __init__(
        self,
        table: Table,
        pairs: Mapping[str, tuple[keras.Model, keras.Model]],
        data: Any,
        folder: PathLike,
        *,
        chains: Chains = AS_USUAL,
        connections: Connections = THE_ZOOS,
        num_points: int | None = None,
        train_examples: int | None = None,
        fit_examples: int | None = None,
        seed: int = 0,
        keep_paths: bool = False,
        about: Mapping[str, Any] | None = None,
        verbose: int = 1,
    ):
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
            raise ValueError(
                f"A table needs the splits 'train' and 'test', received {sorted(splits)}."
            )
        splits = {split: splits[split] for split in SPLITS}
        measured = {**splits, "train": tuple(array[:train_examples] for array in splits["train"])}
        self._table = table
        self._folder = pathlib.Path(folder)
        self._keep_paths = keep_paths
        self._verbose = verbose
        workspaces = {
            pair: Workspace(
                self._folder / "pairs" / pair,
                start,
                end,
                splits,
                measured=measured,
                seed=seed,
                verbose=int(verbose == 2),
            )
            for pair, (start, end) in pairs.items()
        }
        self._kept = {
            pair: KeptReports(
                self._folder / "pairs" / pair,
                workspace,
                functools.partial(
                    connector_of,
                    chains=chains,
                    fit_examples=fit_examples,
                    connections=connections,
                ),
                num_points,
                (about or {}).get("command"),
            )
            for pair, workspace in workspaces.items()
        }
        self._provenance = {
            **(about or {}),
            "pairs": {
                pair: {role: workspace.origin[role] for role in ("start", "end")}
                for pair, workspace in workspaces.items()
            },
            "data": next(iter(workspaces.values())).origin["data"],
            "measured_on": {split: len(y) for split, (_, y) in measured.items()},
            "fit_examples": fit_examples,
            "num_points": num_points,
            "chains": dataclasses.asdict(chains),
            "seed": seed,
            "versions": versions(),
        }

    def make(self, rows: Iterable[str]) -> Reproduction:
        """Make the reports of these rows that are not kept, and write all that are done.

        Raises:
            OSError: If the folder cannot be written.
        """
        rows = list(rows)
        total = len(self._kept) * len(rows)
        bar = ProgressBar(self._table.name, total, verbose=int(self._verbose == 1))
        made: Reports = {row: {} for row in rows}
        for pair, kept in self._kept.items():
            for row in rows:
                made[row][pair] = kept.get(row, bar, keep_path=self._keep_paths)
        with locked(self._folder / LOCK, f"writes the table {self._table.name}"):
            # Other processes may have made other rows meanwhile.
            result = self._result(self._with_kept(made))
            write(self._folder, result)
        self._say_what_is_left_out(result.rows, bar)
        return result

    def _say_what_is_left_out(self, rows: Collection[str], bar: ProgressBar) -> None:
        there = {row for kept in self._kept.values() for row in kept.others(list(rows))}
        if there:
            bar.say(
                f"Not in the table: {', '.join(sorted(there))}; measured with other settings, or "
                "not on all pairs. Ask for them by --rows to have them measured like the others."
            )

    def kept(self) -> Reproduction | None:
        """All rows that are done; `None` if the end points are not."""
        reports = self._with_kept({})
        return self._result(reports) if ENDS in reports else None

    def _with_kept(self, made: Reports) -> Reports:
        """These reports and those of all other rows that every pair has one of."""
        reports = {row: dict(by_pair) for row, by_pair in made.items()}
        for pair, kept in self._kept.items():
            for row in kept.others(list(made)):
                report = kept.load(row)
                if report is not None:
                    reports.setdefault(row, {})[pair] = report
        # A row that some of the pairs lack would be a mean over other networks than its neighbours.
        return {row: by_pair for row, by_pair in reports.items() if len(by_pair) == len(self._kept)}

    def _result(self, reports: Reports) -> Reproduction:
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return Reproduction(self._table, reports, {**self._provenance, "created": created})
