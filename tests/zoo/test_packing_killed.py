"""What packs an entry, killed at any moment: called again, it makes the zoo folder whole."""

import dataclasses
import os
import pathlib

import pytest

from mc_keras.storage import sha256_of_file
from mc_keras.zoo import packing
from mc_keras.zoo.card import card_of
from mc_keras.zoo.connection_packing import add_connection
from mc_keras.zoo.connection_recipes import get_connection_recipe
from mc_keras.zoo.connection_training import train_connection
from mc_keras.zoo.manifest import CARD_NAME, load_manifest, put_entry
from mc_keras.zoo.mirroring import mirror
from mc_keras.zoo.population_packing import add_population
from mc_keras.zoo.population_training import train_population
from mc_keras.zoo.recipes import get_recipe

TINY = dataclasses.replace(
    get_recipe("fc1_digits"),
    name="tiny_digits",
    config={**get_recipe("fc1_digits").config, "hidden": (4,)},
    epochs=1,
)


FLOW = dataclasses.replace(
    get_connection_recipe("fc1_digits", "rnvp_flow"),
    networks="tiny_digits",
    hidden=(4,),
    num_blocks=1,
    epochs=1,
)


class Killed(BaseException):
    """Nobody catches it."""


def killed_again_and_again(pack, zoo, monkeypatch):
    """Stops `pack` before the first move into or out of `zoo`, then before the second, and so on.

    Returns how often it was stopped until it came to its end.
    """
    replace = os.replace
    for allowed in range(9):
        moves = []

        def stop(source, target, allowed=allowed, moves=moves):
            if zoo in (pathlib.Path(source).parent, pathlib.Path(target).parent):
                if len(moves) == allowed:
                    raise Killed
                moves.append(target)
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stop)
            try:
                pack(zoo)
            except Killed:
                continue
            return allowed
    raise AssertionError("it never ended")


@pytest.fixture
def pair_packs(runs):
    return lambda zoo: packing.add(zoo, *runs), lambda zoo: packing.add(zoo, *runs[::-1])


@pytest.fixture
def population_packs(tmp_path):
    for epochs in (1, 2):
        train_population(TINY, [5, 6], tmp_path / f"{epochs}.networks", epochs=epochs, verbose=0)
    return [
        lambda zoo, file=tmp_path / f"{epochs}.networks": add_population(zoo, file)
        for epochs in (1, 2)
    ]


@pytest.fixture
def connection_packs(tmp_path):
    for name, seeds in (("V", [1, 2]), ("pairs", [3, 4])):
        train_population(TINY, seeds, tmp_path / name, verbose=0)
    networks = tmp_path / "V", tmp_path / "pairs"
    for epochs in (1, 2):
        train_connection(FLOW, *networks, tmp_path / f"run{epochs}", epochs=epochs, verbose=0)
    return [
        lambda zoo, run=tmp_path / f"run{epochs}": add_connection(zoo, run, networks[1])
        for epochs in (1, 2)
    ]


@pytest.fixture
def mirror_packs(tmp_path, make_entry):
    for version in (1, 2):
        source = tmp_path / f"source{version}"
        contents = {role: f"{role} {version}".encode() for role in ("start", "end")}
        put_entry(source, make_entry(**contents, version=version))
        (source / "toy").mkdir()
        for role in contents:
            (source / f"toy/{role}.weights.h5").write_bytes(contents[role])
    return [
        lambda zoo, source=tmp_path / f"source{version}": mirror(["toy"], zoo, source)
        for version in (1, 2)
    ]


@pytest.mark.parametrize(
    "packs",
    [
        pytest.param("pair_packs", marks=pytest.mark.slow),
        pytest.param("population_packs", marks=pytest.mark.slow),
        pytest.param("connection_packs", marks=pytest.mark.slow),
        "mirror_packs",
    ],
)
def test_called_again_it_makes_the_zoo_whole(packs, request, tmp_path, monkeypatch):
    first, replacing = request.getfixturevalue(packs)
    zoo = tmp_path / "zoo"
    for pack, version in ((first, 1), (replacing, 2)):
        assert killed_again_and_again(pack, zoo, monkeypatch) >= 2
        (entry,) = load_manifest(zoo).all().values()
        assert entry.version == version
        for file in entry.files.values():
            assert sha256_of_file(zoo / file.path) == file.sha256
        assert (zoo / entry.name / CARD_NAME).read_text(encoding="utf-8") == card_of(entry)
