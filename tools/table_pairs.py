"""The pairs of networks that a table is about: the zoo's, and further trained ones."""

import pathlib
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
        ValueError: If there are none, some are of another recipe, unfinished or altered, or two
            have the same name.
    """
    import mc_keras as mc
    from mc_keras.zoo.manifest import manifest_of

    pairs: Pairs = {}
    taken: set[int] = set()
    if table.pair in manifest_of(sources.zoo).entries:
        pair = mc.zoo.load_pair(table.pair, sources.zoo, verbose=verbose)
        pairs[table.pair] = (pair.start, pair.end)
        taken = set(pair.info.seeds.values())
    found = _of_runs(table, data, sources, taken)
    for text in sources.populations:
        found += _of_population(text, table, taken, verbose=verbose)
    came_from: dict[str, str] = {}
    for name, source, networks in found:
        if name in pairs:
            raise ValueError(
                f"Two pairs are called {name}, that of {came_from[name]} and that of {source}; "
                "name one of them."
            )
        pairs[name], came_from[name] = networks, source
    if not pairs:
        raise ValueError(
            f"The zoo has no pair {table.pair!r}, and none of --pairs, --runs and --populations "
            f"names trained networks of that recipe: `mc-zoo train {table.pair} --zoo=my_zoo` "
            "trains a pair, for --source=my_zoo."
        )
    return pairs


class _Found(NamedTuple):
    """A pair, and where it was found.

    Attributes:
        name: By its seeds.
        source: As the user named it.
        networks: Start and end.
    """

    name: str
    source: str
    networks: "tuple[keras.Model, keras.Model]"


def _of_runs(table: "Table", data: "DataSet", sources: Sources, taken: set[int]) -> list[_Found]:
    from mc_keras.zoo.runs import load_run, read_run

    folders = [_two_folders(words) for words in sources.folders]
    if sources.runs is not None:
        folders += _paired(sources.runs, table.pair, taken)
    pairs = []
    for start, end in folders:
        name = "seeds" + "-".join(str(read_run(folder)["seed"]) for folder in (start, end))
        networks = (
            load_run(start, table.pair, data.train),
            load_run(end, table.pair, data.train),
        )
        pairs.append(_Found(name, f"{start}:{end}", networks))
    return pairs


def _two_folders(words: str) -> tuple[str, str]:
    start, colon, end = words.partition(":")
    if not (start and colon and end):
        raise ValueError(f"A pair is two folders, DIR_A:DIR_B, received {words!r}.")
    if pathlib.Path(start).resolve() == pathlib.Path(end).resolve():
        raise ValueError(
            f"A pair is two networks, --pairs={words} names one twice; name the folder of another."
        )
    return start, end


def _paired(runs: str, recipe: str, taken: set[int]) -> list[tuple[str, str]]:
    """Folders of the runs of a recipe, two and two, but for the seeds that are taken."""
    from mc_keras.zoo.runs import finished_runs

    found = finished_runs(runs, recipe)
    if not found:
        raise ValueError(
            f"--runs={runs} has no finished run of {recipe!r}, which mc-train writes to "
            f"{pathlib.Path(runs) / recipe / 'seed0'} and so on; name the folder above {recipe}."
        )
    rest = [str(folder) for seed, folder in found.items() if seed not in taken]
    _tell_of_left_out(rest, runs)
    return list(zip(rest[::2], rest[1::2], strict=False))


def _of_population(text: str, table: "Table", taken: set[int], *, verbose: int) -> list[_Found]:
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
    _tell_of_left_out([f"seed {seed} of {text}" for seed in rest], text)
    return [
        _Found(f"seeds{a}-{b}", text, (by_seed[a], by_seed[b]))
        for a, b in zip(rest[::2], rest[1::2], strict=False)
    ]


def _tell_of_left_out(networks: Sequence[str], source: str) -> None:
    if len(networks) % 2:
        print(
            f"Left out: {networks[-1]}; there is no further network to pair it with.",
            file=sys.stderr,
        )
    if not networks:
        print(f"Left out: {source}; the zoo's pair has all of its seeds.", file=sys.stderr)
