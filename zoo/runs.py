"""Folders of finished trainings, as `mc-train` leaves them."""

import json
import os
import pathlib
from typing import Any

import keras
import numpy as np

from mc_keras.storage import sha256_of_file
from mc_keras.zoo import checks, training
from mc_keras.zoo.entries import METRICS, Architecture
from mc_keras.zoo.pairs import read_weights

_WITH_DIGEST = checks.having({"weights": checks.having({"sha256": checks.digest})})
_CARD = checks.having(
    {
        "recipe": checks.having(
            {
                "name": checks.text,
                "dataset": checks.text,
                "architecture": checks.text,
                "config": checks.mapping_of(checks.anything),
            }
        ),
        "seed": checks.natural,
        "command": checks.text,
        "created": checks.day,
        "versions": checks.mapping_of(checks.text),
        "metrics": checks.having(dict.fromkeys(METRICS, checks.number)),
    }
)


def read_run(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The card of a finished run, and as `file` its weights.

    Raises:
        ValueError: If the run is not finished, its weights were altered, or something in its card
            is missing or of the wrong kind.
    """
    file = pathlib.Path(folder) / training.WEIGHTS_FILE
    return {**read_card(file, _CARD, "a finished run of mc-train"), "file": file}


def read_card(file: pathlib.Path, rule: checks.Rule, kind: str) -> dict[str, Any]:
    """The card beside a file of trained weights.

    Args:
        file: The weights.
        rule: What must hold of the card, besides that it has the digest of the weights.
        kind: What the folder should hold, for error messages.

    Raises:
        ValueError: If there is no such folder or card, it breaks the rule, or the file was altered.
    """
    if not file.parent.is_dir():
        raise ValueError(f"There is no folder {file.parent}; check the name.")
    try:
        text = (file.parent / training.CARD_FILE).read_text(encoding="utf-8")
        card = _WITH_DIGEST(training.CARD_FILE, rule(training.CARD_FILE, json.loads(text)))
        if sha256_of_file(file) != card["weights"]["sha256"]:
            raise ValueError(f"{file} was altered after the training: its sha256 is not the card's")
    except (OSError, ValueError, RecursionError, checks.Invalid) as error:
        raise ValueError(
            f"{file.parent} does not hold {kind} ({error}); train it to its end."
        ) from error
    return card


def load_run(
    folder: str | os.PathLike[str], recipe: str, train: tuple[np.ndarray, np.ndarray]
) -> keras.Model:
    """The network of a finished run.

    Args:
        folder: Of the run.
        recipe: Name of the recipe that it must be of.
        train: The training split, images and labels.

    Raises:
        ValueError: If the run is not finished, was altered or is of another recipe.
    """
    run = read_run(folder)
    if run["recipe"]["name"] != recipe:
        raise ValueError(
            f"{os.fspath(folder)} holds a run of the recipe {run['recipe']['name']!r}, not of "
            f"{recipe!r}; choose another folder."
        )
    return read_weights(architecture_of(run["recipe"], train), run["file"])


def architecture_of(recipe: dict[str, Any], train: tuple[np.ndarray, np.ndarray]) -> Architecture:
    """The architecture that a recipe, as a card has it, gives for a training split."""
    x, y = train
    return Architecture(recipe["architecture"], x.shape[1:], int(y.max()) + 1, recipe["config"])


def finished_runs(folder: str | os.PathLike[str], recipe: str) -> dict[int, pathlib.Path]:
    """Seed to folder of the finished runs of a recipe below `folder`, as `mc-train` names them.

    Connection models, which lie beside the networks that they were trained on, are left out.

    Raises:
        ValueError: If the weights of a run were altered.
    """
    found = {}
    for card in sorted(pathlib.Path(folder).glob(f"{recipe}/*/{training.CARD_FILE}")):
        if not _is_of_connection(card):
            found[int(read_run(card.parent)["seed"])] = card.parent
    return dict(sorted(found.items()))


def _is_of_connection(card: pathlib.Path) -> bool:
    try:
        return "connection" in json.loads(card.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, TypeError):
        return False  # no card at all: the error is that of a run
