"""A small table, and what was measured for it."""

import dataclasses

import pytest

from mc_keras.reproduction import STUDIES, Chains, Figure, Row, StudyResult, Table, reproduce
from tests.networks import classification_data, dense_network, train

TABLE = Table(
    "tiny",
    "A tiny table",
    "fc_digits",
    (
        Row("linear", "Linear", Figure(40.0, 1.0), Figure(38.5, 2.0)),
        Row("arc", "Arc", Figure(50.0, 0.5, doubtful=True), Figure(48.0)),
        Row("polychain", "Garipov (3)", Figure(91.0), Figure(89.0)),
        Row("polychain5", "Garipov (5)"),
        Row("by magic", "Magic", Figure(100.0), Figure(100.0)),
        Row("ends", "End points", Figure(92.0), Figure(90.0)),
    ),
)


@pytest.fixture(scope="session")
def splits():
    x, y = classification_data((5,))
    return {"train": (x, y), "test": (x[:90], y[:90])}


@pytest.fixture(scope="session")
def pairs(dense_pair, splits):
    """Two pairs that share a network."""
    start, end, _ = dense_pair
    third = train(dense_network(2), *splits["train"])
    return {"one": (start, end), "two": (end, third)}


@pytest.fixture(scope="session")
def reproduced(pairs, splits, tmp_path_factory):
    """The folder of a whole run, and its result."""
    folder = tmp_path_factory.mktemp("reproduced")
    result = reproduce(
        TABLE,
        pairs,
        splits,
        folder,
        chains=Chains(epochs=1),
        num_points=5,
        about={"command": "mc-reproduce --tiny"},
        verbose=0,
    )
    return folder, result


@pytest.fixture(scope="session")
def studied(reproduced):
    """A study of two sizes, of which the larger lacks a row."""
    _, result = reproduced
    reports = {row: by_pair for row, by_pair in result.reports.items() if row != "arc"}
    results = {8: result, 16: dataclasses.replace(result, reports=reports)}
    return StudyResult(STUDIES["width"], results)
