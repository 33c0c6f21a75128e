"""Puts trained connection models into a zoo folder: file, card, manifest entry."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mc_keras.evaluation import evaluate_path
from mc_keras.flows import Flow, TransportedPath, check_fits, rows_layout
from mc_keras.storage import atomic_folder, sha256_of_file
from mc_keras.weight_space import WeightSpace, clone
from mc_keras.zoo.card import connection_card_text
from mc_keras.zoo.connection_training import CONNECTION_FILE
from mc_keras.zoo.connections import read_connection
from mc_keras.zoo.datasets import DataSet, load_data
from mc_keras.zoo.manifest import (
    CONNECTION_METRICS,
    FILE_NAME,
    Architecture,
    ConnectionEntry,
    WeightsFile,
    load_manifest,
    put_entry,
)
from mc_keras.zoo.packing import DATASET_LICENSES
from mc_keras.zoo.populations import Population, load_population
from mc_keras.zoo.training import CARD_FILE
from mc_keras.zoo.weight_files import write_model

# float16 is good enough where it lowers the worst accuracy by no more than 0.05 percentage points.
SAME_ACCURACY = 5e-4


def add_connection(
    zoo: str | os.PathLike[str],
    run: str | os.PathLike[str],
    held_out: str | os.PathLike[str],
    *,
    description: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> ConnectionEntry:
    """Packs a run of `train_connection` as an entry of a zoo folder.

    An entry of that name is replaced. The kernels are stored in float16 where that lowers the worst
    accuracy, in the mean over the pairs, by no more than 0.05 percentage points. The accuracies of
    the entry are those of the file as stored.

    Args:
        zoo: The folder; made, with a manifest, if there is none.
        run: Folder of the finished run.
        held_out: File of networks outside its population, the two of a pair one after the other.
        description: One line on the model.
        data_dir: Folder of prepared data sets, as for `load_data`.

    Returns:
        The entry.

    Raises:
        ValueError: If the run is not finished or its file was altered.
        OSError: If the folder cannot be written.
    """
    zoo, run = pathlib.Path(zoo), pathlib.Path(run)
    card = _read_card(run)
    flow = read_connection(run / CONNECTION_FILE)
    pairs = load_population(held_out)
    data = load_data(card["networks"]["dataset"], data_dir)
    before = load_manifest(zoo).connections if (zoo / FILE_NAME).exists() else {}
    old = before.get(flow.name)
    with atomic_folder(zoo / flow.name) as folder:
        file = folder / CONNECTION_FILE
        metrics = _store(flow, file, pairs, data)
        record = WeightsFile(
            f"{flow.name}/{CONNECTION_FILE}", file.stat().st_size, sha256_of_file(file)
        )
        entry = _entry(card, flow, pairs, metrics, record, old, description)
        (folder / "README.md").write_text(connection_card_text(entry), encoding="utf-8")
    put_entry(zoo, entry)
    return entry


def measure_connection(
    flow: Flow, pairs: Population, data: DataSet, *, num_points: int = 9
) -> dict[str, float]:
    """Worst accuracies on the paths between held-out pairs, in the mean over the pairs."""
    worst: dict[str, list[float]] = {name: [] for name in CONNECTION_METRICS}
    for a, b in zip(pairs.networks[::2], pairs.networks[1::2], strict=True):
        check_fits(flow, a)
        start, end, space = WeightSpace(a), WeightSpace(b), WeightSpace(clone(a))
        path = TransportedPath(
            space,
            (start.read(), end.read()),
            flow,
            rows_layout(space).axes,
            states=(start.read_state(), end.read_state()),
        )
        report = evaluate_path(path, data, num_points, verbose=0)
        for name in CONNECTION_METRICS:
            split = name.removesuffix("_worst_accuracy")
            worst[name].append(report.worst(f"{split}_accuracy"))
    return {name: float(np.mean(values)) for name, values in worst.items()}


def _store(flow: Flow, file: pathlib.Path, pairs: Population, data: DataSet) -> dict[str, float]:
    exact = measure_connection(flow, pairs, data)
    for half_precision in (True, False):
        write_model(flow, file, half_precision=half_precision)
        stored = measure_connection(read_connection(file), pairs, data)
        if all(stored[name] >= exact[name] - SAME_ACCURACY for name in CONNECTION_METRICS):
            break
    return {"pairs": len(pairs.networks) / 2, **stored}


def _entry(
    card: Mapping[str, Any],
    flow: Flow,
    pairs: Population,
    metrics: Mapping[str, float],
    record: WeightsFile,
    old: ConnectionEntry | None,
    description: str | None,
) -> ConnectionEntry:
    networks, connection = card["networks"], card["connection"]
    info = pairs.info
    files = {"connection": record}
    default = f"Connects any two {networks['name']} networks, by the method {connection['method']}."
    return ConnectionEntry(
        name=flow.name,
        version=old.version + (files != old.files) if old else 1,
        description=description or (old.description if old else default),
        method=connection["method"],
        dataset=networks["dataset"],
        architecture=Architecture(
            networks["architecture"],
            tuple(info["input_shape"]),
            info["num_classes"],
            networks["config"],
        ),
        recipe=networks["name"],
        training={
            key: value for key, value in connection.items() if key not in ("networks", "method")
        },
        command=f"mc-train --recipe={networks['name']} --connection={connection['method']} "
        f"--population={card['seeds'][0]}-{card['seeds'][-1]} "
        f"--held_out={card['held_out_seeds'][0]}-{card['held_out_seeds'][-1]}",
        seeds=tuple(card["seeds"]),
        files=files,
        metrics=metrics,
        license="Apache-2.0",
        dataset_license=DATASET_LICENSES.get(networks["dataset"], "see the data set's page"),
        created=card["created"],
        versions=card["versions"],
    )


def _read_card(run: pathlib.Path) -> dict[str, Any]:
    try:
        card = json.loads((run / CARD_FILE).read_text(encoding="utf-8"))
        if sha256_of_file(run / CONNECTION_FILE) != card["weights"]["sha256"]:
            raise ValueError(f"{run / CONNECTION_FILE} was altered after the training")
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(
            f"{run} does not hold a finished connection model ({error}); train it to its end."
        ) from error
    return card
