"""Puts trained connection models into a zoo folder: file, card, manifest entry."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mc_keras.flows import Flow
from mc_keras.storage import sha256_of_file
from mc_keras.zoo import checks
from mc_keras.zoo.card import connection_card_text
from mc_keras.zoo.connection_recipes import RECIPES
from mc_keras.zoo.connection_training import CONNECTION_FILE
from mc_keras.zoo.connections import read_connection
from mc_keras.zoo.datasets import DataSet, load_data
from mc_keras.zoo.entries import (
    CONNECTION_METRICS,
    ConnectionEntry,
    WeightsFile,
)
from mc_keras.zoo.manifest import CARD_NAME, Manifest, check_place, manifest_in, put_entry
from mc_keras.zoo.packing import DATASET_LICENSES
from mc_keras.zoo.pairs import load_pair
from mc_keras.zoo.placing import replacing
from mc_keras.zoo.populations import (
    Population,
    architecture_of_population,
    check_held_out,
    check_recipe,
    read_population,
)
from mc_keras.zoo.runs import read_card
from mc_keras.zoo.verification import measure_connection
from mc_keras.zoo.weight_files import write_model

# float16 is good enough where it lowers the worst accuracy by no more than 0.05 percentage points.
SAME_ACCURACY = 5e-4

_CARD = checks.having(
    {
        "connection": checks.having(
            {
                "networks": checks.text,
                "method": checks.text,
                "epochs": checks.positive,
                "learning_rate": checks.number,
                "seed": checks.natural,
            }
        ),
        "networks": checks.having(dict.fromkeys(("name", "dataset"), checks.text)),
        "seeds": checks.list_of(checks.natural),
        "held_out_seeds": checks.list_of(checks.natural),
        "created": checks.day,
        "versions": checks.mapping_of(checks.text),
    }
)


def add_connection(
    zoo: str | os.PathLike[str],
    run: str | os.PathLike[str],
    held_out: str | os.PathLike[str],
    *,
    description: str | None = None,
    notes: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> ConnectionEntry:
    """Packs a run of `train_connection` as an entry of a zoo folder.

    An entry of that name is replaced; its description and notes stay unless new ones are given.
    The kernels are stored in float16 where that lowers the worst
    accuracy, in the mean over the pairs, by no more than 0.05 percentage points. The numbers of the
    entry are those of the file as stored: over the pairs, and, for `mc-zoo verify`, on the
    zoo's own pair of the recipe and architecture, if the folder has it.

    Args:
        zoo: The folder; made, with a manifest, if there is none.
        run: Folder of the finished run.
        held_out: File of networks outside its population, the two of a pair one after the other.
        description: One line on the model.
        notes: What a user should know besides.
        data_dir: Folder of prepared data sets, as for `load_data`.

    Returns:
        The entry.

    Raises:
        ValueError: If the run is not finished, its file was altered, the held-out networks are no
            pairs of its recipe outside its population, or something else has the entry's place in
            the folder.
        OSError: If the folder cannot be written.
    """
    zoo, run = pathlib.Path(zoo), pathlib.Path(run)
    card = read_card(run / CONNECTION_FILE, _CARD, "a finished connection model")
    flow = read_connection(run / CONNECTION_FILE)
    check_place(zoo, flow.name, manifest_in(zoo).connections)
    pairs = read_population(held_out)
    file_name = os.fspath(held_out)
    check_recipe(file_name, pairs.info, card["networks"]["name"])
    check_held_out(file_name, pairs.info["seeds"], card["seeds"])
    data = load_data(card["networks"]["dataset"], data_dir)
    with replacing(zoo, flow.name, ConnectionEntry.section) as (folder, before):
        file = folder / CONNECTION_FILE
        metrics = _store(flow, file, pairs, data)
        record = WeightsFile(
            f"{flow.name}/{CONNECTION_FILE}", file.stat().st_size, sha256_of_file(file)
        )
        old = before.connections.get(flow.name)
        entry = _entry(card, flow, pairs, metrics, record, old, description, notes)
        entry = measured_on_pair(entry, read_connection(file), zoo, before, data)
        (folder / CARD_NAME).write_text(connection_card_text(entry), encoding="utf-8")
        put_entry(zoo, entry)
    return entry


def measured_on_pair(
    entry: ConnectionEntry,
    flow: Flow,
    zoo: str | os.PathLike[str],
    manifest: Manifest,
    data: DataSet,
) -> ConnectionEntry:
    """The entry with what its flow is measured to be on the pair of its recipe in a zoo folder.

    It has none if the zoo has no such pair, or one of another architecture.
    """
    pair = manifest.entries.get(entry.recipe)
    if pair is None or pair.architecture != entry.architecture:
        return dataclasses.replace(entry, pair_metrics={}, pair_digests={})
    start, end, _ = load_pair(pair.name, zoo)
    metrics = measure_connection(flow, start, end, data)
    return dataclasses.replace(entry, pair_metrics=metrics, pair_digests=pair.digests)


def _store(flow: Flow, file: pathlib.Path, pairs: Population, data: DataSet) -> dict[str, float]:
    exact = _mean_over(pairs, flow, data)
    for half_precision in (True, False):
        write_model(flow, file, half_precision=half_precision)
        stored = _mean_over(pairs, read_connection(file), data)
        if all(
            stored[name] >= exact[name] - SAME_ACCURACY
            for name in CONNECTION_METRICS
            if name.endswith("accuracy")
        ):
            break
    return {"pairs": len(pairs.networks) / 2, **stored}


def _mean_over(pairs: Population, flow: Flow, data: DataSet) -> dict[str, float]:
    """Worst accuracies and losses on the paths of the pairs, in the mean over them."""
    measured = [
        measure_connection(flow, start, end, data)
        for start, end in zip(pairs.networks[::2], pairs.networks[1::2], strict=True)
    ]
    return {name: float(np.mean([m[name] for m in measured])) for name in CONNECTION_METRICS}


def _entry(
    card: Mapping[str, Any],
    flow: Flow,
    pairs: Population,
    metrics: Mapping[str, float],
    record: WeightsFile,
    old: ConnectionEntry | None,
    description: str | None,
    notes: str | None,
) -> ConnectionEntry:
    networks, connection = card["networks"], card["connection"]
    files = {"connection": record}
    default = f"Connects any two {networks['name']} networks, by the method {connection['method']}."
    return ConnectionEntry(
        name=flow.name,
        version=old.version + (files != old.files) if old else 1,
        description=description or (old.description if old else default),
        method=connection["method"],
        dataset=networks["dataset"],
        architecture=architecture_of_population(pairs.info),
        recipe=networks["name"],
        training={
            key: value for key, value in connection.items() if key not in ("networks", "method")
        },
        command=f"mc-train --recipe={networks['name']} --connection={connection['method']} "
        f"--population={card['seeds'][0]}-{card['seeds'][-1]} "
        f"--held_out={card['held_out_seeds'][0]}-{card['held_out_seeds'][-1]}"
        + "".join(_changed(connection)),
        seeds=tuple(card["seeds"]),
        files=files,
        metrics=metrics,
        license="Apache-2.0",
        dataset_license=DATASET_LICENSES.get(networks["dataset"], "see the data set's page"),
        created=card["created"],
        versions=card["versions"],
        notes=(old.notes if old else "") if notes is None else notes,
    )


def _changed(connection: Mapping[str, Any]) -> list[str]:
    """Flags of what was not as in the recipe."""
    recipe = RECIPES.get(f"{connection['networks']}_{connection['method']}")
    return [
        f" --{name}={connection[name]}"
        for name in ("epochs", "learning_rate", "seed")
        if recipe is not None and connection[name] != getattr(recipe, name)
    ]
