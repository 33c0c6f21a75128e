"""The connector that makes the paths of a row."""

from collections.abc import Iterable

import keras

from mc_keras.connectors import Connector, Linear, by_name, names
from mc_keras.reproduction.chains import AS_USUAL, Chains
from mc_keras.reproduction.published import ENDS, Table

_NUM_CONTROL_POINTS = {"polychain": 3, "polychain5": 5}


def connector_of(row: str, chains: Chains = AS_USUAL, fit_examples: int | None = None) -> Connector:
    """The connector of a row.

    Args:
        row: Its name.
        chains: How chains are trained.
        fit_examples: How many training examples, drawn at random, layers are solved for on; as many
            as the method takes if not given.

    Raises:
        ValueError: If there is no such method.
    """
    if row == ENDS:
        return Linear()
    if row in _NUM_CONTROL_POINTS:
        return chains.connector(_NUM_CONTROL_POINTS[row])
    connector = by_name(row)
    if getattr(connector, "num_examples", 0) is None:
        return connector.replace(num_examples=fit_examples)
    return connector


def exists(row: str) -> bool:
    """Whether there is a method for a row."""
    return row == ENDS or row in _NUM_CONTROL_POINTS or row in names()


def chosen_rows(table: Table, wanted: Iterable[str] | None, network: keras.Model) -> list[str]:
    """Names of the rows to compute: the end points first, which all others are compared with.

    Args:
        table: The table.
        wanted: Names, those of further methods among them; `None` for the rows of the table that
            there are methods for.
        network: One of the networks.

    Raises:
        ValueError: If there is no such method, or it cannot connect such networks.
    """
    if wanted is None:
        left_out = missing_rows(table, network)
        rows = [row.name for row in table.rows if row.name not in left_out]
    else:
        rows = list(wanted)
        for row in rows:
            if not connector_of(row).applies_to(network):
                raise ValueError(
                    f"The method '{row}' does not apply to networks like '{network.name}' here; "
                    "leave this row out."
                )
    return [ENDS, *(row for row in dict.fromkeys(rows) if row != ENDS)]


def missing_rows(table: Table, network: keras.Model) -> list[str]:
    """Names of the rows that there is no method for, or none for such networks."""
    return [
        row.name
        for row in table.rows
        if not exists(row.name) or not connector_of(row.name).applies_to(network)
    ]
