"""The pairs of networks that a table is about: the zoo's, and further trained ones."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from mc_keras.tools.inputs import population_file

if TYPE_CHECKING:
    import keras

    from mc_keras.reproduction import Table
    from mc_keras.zoo.datasets import DataSet

    Pairs = dict[str, tuple[keras.Model, keras.Model]]


class Sources(NamedTuple):
    """Where pairs are taken from besides the zoo.

    Attributes:
        folders: Two folders of runs each, `"DIR_A:DIR_B"`.
        runs: Folder of runs, by recipe and seed.
        populations: Files of networks, or names of populations of the zoo.
        zoo: Folder or base URL of the zoo's pair, if it is not the usual one.
    """

    folders: Sequence[str] = ()
    runs: str | None = None
    populations: Sequence[str] = ()
    zoo: str | None = None


def pairs_of(table: "Table", data: "DataSet", sources: Sources, *, verbose: int = 1) -> "Pairs":
    """The zoo's pair, if it has one, and those of trained runs and populations.

    Args:
        table: The table.
        data: Its data set.
        sources: Where else to look.
        verbose: 1 shows a progress bar while downloading, 0 nothing.

    Returns:
        Name to start and end of each pair. Networks of the seeds that the zoo's pair has are left
        out of `runs` and `populations`.

    Raises:
        ValueError: If there are none, or some are of another recipe, unfinished or altered.
    """
    import mc_keras as mc
    from mc_keras.zoo.manifest import manifest_of

    pairs: Pairs = {}
    taken: set[int] = set()
    if table.pair in manifest_of(sources.zoo).entries:
        pair = mc.zoo.load_pair(table.pair, sources.zoo, verbose=verbose)
        pairs[table.pair] = (pair.start, pair.end)
        taken = set(pair.info.seeds.values())
    pairs |= _of_runs(table, data, sources, taken)
    for text in sources.populations:
        pairs |= _of_population(text, table, taken, verbose=verbose)
    if not pairs:
        raise ValueError(
            f"The zoo has no pair {table.pair!r}, and none of --pairs, --runs and --populations "
            f"names trained networks of that recipe: `mc-zoo train {table.pair} --zoo=my_zoo` "
            "trains a pair, for --source=my_zoo."
        )
    return pairs


def _of_runs(table: "Table", data: "DataSet", sources: Sources, taken: set[int]) -> "Pairs":
    from mc_keras.zoo.runs import finished_runs, load_run, read_run

    folders = []
    for words in sources.folders:
        start, colon, end = words.partition(":")
        if not (start and colon and end):
            raise ValueError(f"A pair is two folders, DIR_A:DIR_B, received {words!r}.")
        folders.append((start, end))
    if sources.runs is not None:
        runs = finished_runs(sources.runs, table.pair)
        rest = [runs[seed] for seed in runs if seed not in taken]
        folders += zip(rest[::2], rest[1::2], strict=False)
        _tell_of_odd(rest)
    pairs = {}
    for start, end in folders:
        seeds = "-".join(str(read_run(folder)["seed"]) for folder in (start, end))
        pairs[f"seeds{seeds}"] = (
            load_run(start, table.pair, data.train),
            load_run(end, table.pair, data.train),
        )
    return pairs


def _of_population(text: str, table: "Table", taken: set[int], *, verbose: int) -> "Pairs":
    from mc_keras.zoo.populations import check_recipe, read_population

    file = population_file(text, verbose=verbose)
    if file is None:
        raise ValueError(
            "--populations are files of networks, as mc-train --count writes them, or populations "
            f"of the zoo, received {text!r}."
        )
    networks, info = read_population(file)
    check_recipe(text, info, table.pair)
    by_seed = dict(zip(info["seeds"], networks, strict=True))
    rest = [seed for seed in by_seed if seed not in taken]
    _tell_of_odd([f"seed {seed} of {text}" for seed in rest])
    return {
        f"seeds{a}-{b}": (by_seed[a], by_seed[b])
        for a, b in zip(rest[::2], rest[1::2], strict=False)
    }


def _tell_of_odd(networks: Sequence[object]) -> None:
    if len(networks) % 2:
        print(
            f"Left out: {networks[-1]}; there is no further network to pair it with.",
            file=sys.stderr,
        )
