"""Puts trained pairs into a zoo folder: weights, card, manifest entry."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from mc_keras.storage import sha256_of_file
from mc_keras.zoo.card import card_text
from mc_keras.zoo.datasets import DataSet, load_data
from mc_keras.zoo.entries import METRICS, ROLES, Architecture, Entry, WeightsFile
from mc_keras.zoo.manifest import CARD_NAME, check_place, manifest_in, put_entry
from mc_keras.zoo.pairs import read_weights
from mc_keras.zoo.placing import replacing
from mc_keras.zoo.runs import architecture_of, read_run
from mc_keras.zoo.verification import measure
from mc_keras.zoo.weight_files import write_weights

# float16 is good enough where it changes no accuracy by more than 0.01 percentage points.
SAME_ACCURACY = 1e-4 + 1e-9  # one of 10,000 images is as much, but for rounding

DATASET_LICENSES = {
    "cifar10": (
        "none stated by its authors; cite Krizhevsky, 2009, Learning Multiple Layers of Features "
        "from Tiny Images"
    ),
    "digits": "CC BY 4.0 (UCI Machine Learning Repository, data set 80)",
    "mnist": "CC BY-SA 3.0",
}


def add(
    zoo: str | os.PathLike[str],
    start: str | os.PathLike[str],
    end: str | os.PathLike[str],
    *,
    description: str | None = None,
    notes: str | None = None,
    history: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Entry:
    """Packs two runs of `mc_keras.zoo.training.train` as an entry of a zoo folder.

    The entry is called like the recipe. An entry of that name is replaced: its description and
    notes stay unless new ones are given, its version counts up if the weights are new, and its
    history stays if they are not. Kernels are
    stored in float16 where that changes no accuracy by more than 0.01 percentage points. The
    entry's accuracies and losses are those of the weights as stored.

    Args:
        zoo: The folder; made, with a manifest, if there is none.
        start: Folder of the run that is the start of the pair.
        end: Folder of the run that is its end; it differs in the seed only.
        description: One line on the pair.
        notes: What a user should know besides.
        history: How the weights came about, if not by one run of the recipe.
        data_dir: Folder of prepared data sets, as for `load_data`.

    Returns:
        The entry.

    Raises:
        ValueError: If a run is not finished, its weights were altered, the two are no pair, or
            something else has the entry's place in the folder.
        OSError: If the folder cannot be written.
    """
    zoo = pathlib.Path(zoo)
    runs = {"start": read_run(start), "end": read_run(end)}
    recipe = _common_recipe(runs)
    check_place(zoo, recipe["name"], manifest_in(zoo).entries)
    data = load_data(recipe["dataset"], data_dir)
    architecture = architecture_of(recipe, data.train)
    networks = {role: read_weights(architecture, runs[role]["file"]) for role in ROLES}
    with replacing(zoo, recipe["name"], Entry.section) as (folder, manifest):
        exact = {role: run["metrics"] for role, run in runs.items()}
        metrics = _store(networks, exact, architecture, data, folder)
        entry = _entry(runs, architecture, metrics, folder, manifest.entries.get(recipe["name"]))
        entry = dataclasses.replace(
            entry,
            description=entry.description if description is None else description,
            notes=entry.notes if notes is None else notes,
            history=entry.history if history is None else history,
        )
        (folder / CARD_NAME).write_text(card_text(entry), encoding="utf-8")
        put_entry(zoo, entry)
    return entry


def _entry(
    runs: Mapping[str, dict[str, Any]],
    architecture: Architecture,
    metrics: Mapping[str, Mapping[str, float]],
    folder: pathlib.Path,
    before: Entry | None,
) -> Entry:
    recipe = runs["start"]["recipe"]
    elsewhere = {"name", "dataset", "architecture", "config", "seeds"}
    files = {}
    for role in ROLES:
        file = folder / _file_name(role)
        path = f"{recipe['name']}/{file.name}"
        files[role] = WeightsFile(path, file.stat().st_size, sha256_of_file(file))
    return Entry(
        name=recipe["name"],
        version=before.version + (files != before.files) if before else 1,
        description=before.description if before else f"Two {architecture.builder} networks.",
        dataset=recipe["dataset"],
        architecture=architecture,
        recipe=recipe["name"],
        training={key: value for key, value in recipe.items() if key not in elsewhere}
        | _dtype_policies(runs),
        commands={role: runs[role]["command"] for role in ROLES},
        seeds={role: runs[role]["seed"] for role in ROLES},
        files=files,
        metrics=metrics,
        license="Apache-2.0",
        dataset_license=DATASET_LICENSES.get(recipe["dataset"], "see the data set's page"),
        created=max(run["created"] for run in runs.values()),
        versions=runs["start"]["versions"],
        notes=before.notes if before else "",
        history=before.history if before and files == before.files else "",
    )


def _dtype_policies(runs: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """What the runs were trained in, if their cards say so: not all machines hold to the recipe."""
    policies = {str(run["dtype_policy"]) for run in runs.values() if "dtype_policy" in run}
    return {"dtype_policy": " and ".join(sorted(policies))} if policies else {}


def _common_recipe(runs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    start, end = (runs[role] for role in ROLES)
    if start["recipe"] != end["recipe"]:
        keys = start["recipe"].keys() | end["recipe"].keys()
        different = [k for k in sorted(keys) if start["recipe"].get(k) != end["recipe"].get(k)]
        raise ValueError(
            f"A pair needs two runs of one recipe; these differ in {', '.join(different)}. Train "
            "one of them again."
        )
    if start["seed"] == end["seed"]:
        raise ValueError(
            f"A pair needs two seeds; both runs have seed {start['seed']}. Train another one."
        )
    return start["recipe"]


def _store(
    networks: Mapping[str, keras.Model],
    exact: Mapping[str, Mapping[str, float]],
    architecture: Architecture,
    data: DataSet,
    folder: pathlib.Path,
) -> dict[str, dict[str, float]]:
    """Writes both weights files and measures what they hold; `exact` is of the networks."""
    for half_precision in (True, False):
        stored = {}
        for role in ROLES:
            file = folder / _file_name(role)
            write_weights(networks[role], file, half_precision=half_precision)
            stored[role] = measure(read_weights(architecture, file), data)
        if all(
            abs(stored[role][metric] - exact[role][metric]) <= SAME_ACCURACY
            for role in ROLES
            for metric in METRICS
            if metric.endswith("accuracy")
        ):
            break
    return stored


def _file_name(role: str) -> str:
    return f"{role}.weights.h5"
