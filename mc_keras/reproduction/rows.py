"""The connector that makes the paths of a row."""

import difflib
import os
import types
from collections.abc import Iterable, Mapping

import keras

from mc_keras.connectors import Connector, LearnedConnection, Linear, by_name, names
from mc_keras.flows import METHODS
from mc_keras.reproduction.chains import AS_USUAL, Chains
from mc_keras.reproduction.published import ENDS, Table

Connections = Mapping[str, str | os.PathLike[str]]

THE_ZOOS: Connections = types.MappingProxyType({})

_NUM_CONTROL_POINTS = {"polychain": 3, "polychain5": 5}


def connector_of(
    row: str,
    chains: Chains = AS_USUAL,
    fit_examples: int | None = None,
    connections: Connections = THE_ZOOS,
) -> Connector:
    """The connector of a row.

    Args:
        row: Its name.
        chains: How chains are trained.
        fit_examples: How many training examples, drawn at random, layers are solved for on; as many
            as the method takes if not given.
        connections: The file of the flow for each learned row that is not to take the zoo's.

    Raises:
        ValueError: If there is no such method.
    """
    if row == ENDS:
        return Linear()
    if row in connections:
        return LearnedConnection(model=connections[row])
    if row in _NUM_CONTROL_POINTS:
        return chains.connector(_NUM_CONTROL_POINTS[row])
    if not exists(row):
        rows = dict.fromkeys([*names(), *_NUM_CONTROL_POINTS])
        close = difflib.get_close_matches(row.lower(), rows, n=1, cutoff=0.4)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise ValueError(f"There is no row '{row}': {hint}The rows are {', '.join(rows)}.")
    connector = by_name(row)
    if getattr(connector, "num_examples", 0) is None:
        return connector.replace(num_examples=fit_examples)
    return connector


def exists(row: str) -> bool:
    """Whether there is a method for a row."""
    return row == ENDS or row in _NUM_CONTROL_POINTS or row in names()


def check_connections(connections: Connections) -> None:
    """Check that these are of learned rows.

    Raises:
        ValueError: If one is of another row.
    """
    for row, file in connections.items():
        if row not in METHODS:
            nearest = difflib.get_close_matches(row, METHODS, n=1)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise ValueError(
                f"A connection model is for one of the rows {', '.join(METHODS)}, received "
                f"{row!r}: {hint}Name the row that the file {os.fspath(file)} is for."
            )


def chosen_rows(
    table: Table,
    wanted: Iterable[str] | None,
    network: keras.Model,
    connections: Connections = THE_ZOOS,
) -> list[str]:
    """Names of the rows to compute: the end points first, which all others are compared with.

    Args:
        table: The table.
        wanted: Names, those of further methods among them; `None` for the rows of the table that
            there are methods for.
        network: One of the networks.
        connections: See `connector_of`.

    Raises:
        ValueError: If there is no such method, or it cannot connect such networks.
    """
    if wanted is None:
        left_out = missing_rows(table, network, connections)
        rows = [row.name for row in table.rows if row.name not in left_out]
    else:
        rows = list(wanted)
        for row in rows:
            if not connector_of(row, connections=connections).applies_to(network):
                raise ValueError(
                    f"The method '{row}' does not apply to networks like '{network.name}' here; "
                    "leave this row out."
                )
    return [ENDS, *(row for row in dict.fromkeys(rows) if row != ENDS)]


def missing_rows(
    table: Table, network: keras.Model, connections: Connections = THE_ZOOS
) -> list[str]:
    """Names of the rows that there is no method for, or none for such networks."""
    return [
        row.name
        for row in table.rows
        if not exists(row.name)
        or not connector_of(row.name, connections=connections).applies_to(network)
    ]
