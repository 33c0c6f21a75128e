"""Puts trained populations into a zoo folder: file, card, manifest entry."""

import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from mc_keras.storage import sha256_of_file
from mc_keras.zoo.card import population_card_text
from mc_keras.zoo.entries import PopulationEntry, WeightsFile
from mc_keras.zoo.manifest import CARD_NAME, put_entry
from mc_keras.zoo.packing import DATASET_LICENSES
from mc_keras.zoo.placing import replacing
from mc_keras.zoo.populations import architecture_of_population, read_header, summary
from mc_keras.zoo.recipes import RECIPES


def add_population(
    zoo: str | os.PathLike[str],
    networks: str | os.PathLike[str],
    *,
    description: str | None = None,
    notes: str | None = None,
) -> PopulationEntry:
    """Packs a file of `train_population` as an entry of a zoo folder.

    The entry is called like the recipe and the seeds, such as `fc_mnist_10-25`. An entry of that
    name is replaced; its description and notes stay unless new ones are given. Its numbers are
    those that the file has of its networks.

    Args:
        zoo: The folder; made, with a manifest, if there is none.
        networks: The file.
        description: One line on the population.
        notes: What a user should know besides.

    Returns:
        The entry.

    Raises:
        ValueError: If the file is truncated, altered or something else, its seeds do not follow
            each other, or something else has the entry's place in the folder.
        OSError: If there is no such file, or the folder cannot be written.
    """
    zoo = pathlib.Path(zoo)
    header = read_header(networks)
    seeds, recipe = header["seeds"], header["recipe"]
    _check_seeds(os.fspath(networks), seeds)
    name = f"{recipe['name']}_{seeds[0]}-{seeds[-1]}"
    with replacing(zoo, name, PopulationEntry.section) as (folder, manifest):
        before = manifest.populations
        file = folder / f"{seeds[0]}-{seeds[-1]}.networks"
        shutil.copyfile(networks, file)
        record = WeightsFile(f"{name}/{file.name}", file.stat().st_size, sha256_of_file(file))
        entry = _entry(name, header, record, before.get(name), description, notes)
        (folder / CARD_NAME).write_text(population_card_text(entry), encoding="utf-8")
        put_entry(zoo, entry)
    return entry


def _check_seeds(file: str, seeds: Sequence[int]) -> None:
    if len(seeds) < 2 or list(seeds) != list(range(seeds[0], seeds[0] + len(seeds))):
        raise ValueError(
            "A population of the zoo has two networks or more, of seeds that follow each other, "
            f"and {file} has the seeds {', '.join(map(str, seeds))}; train one by mc-train --count."
        )


def _entry(
    name: str,
    header: Mapping[str, Any],
    record: WeightsFile,
    before: PopulationEntry | None,
    description: str | None,
    notes: str | None,
) -> PopulationEntry:
    seeds, recipe = header["seeds"], header["recipe"]
    elsewhere = {"name", "dataset", "architecture", "config", "seeds"}
    files = {"networks": record}
    default = f"{len(seeds)} {recipe['name']} networks, of the seeds {seeds[0]} to {seeds[-1]}."
    return PopulationEntry(
        name=name,
        version=before.version + (files != before.files) if before else 1,
        description=description or (before.description if before else default),
        dataset=recipe["dataset"],
        architecture=architecture_of_population(header),
        recipe=recipe["name"],
        training={key: value for key, value in recipe.items() if key not in elsewhere},
        command=_command(recipe, seeds),
        seeds=tuple(seeds),
        files=files,
        metrics={"networks": len(seeds), **summary(header["metrics"])},
        license="Apache-2.0",
        dataset_license=DATASET_LICENSES.get(recipe["dataset"], "see the data set's page"),
        created=header["created"],
        versions=header["versions"],
        notes=(before.notes if before else "") if notes is None else notes,
    )


def _command(recipe: Mapping[str, Any], seeds: Sequence[int]) -> str:
    known = RECIPES.get(recipe["name"])
    own = f" --epochs={recipe['epochs']}" if known and known.epochs != recipe["epochs"] else ""
    return f"mc-train --recipe={recipe['name']} --seed={seeds[0]} --count={len(seeds)}{own}"
