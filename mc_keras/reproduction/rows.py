"""The connector that makes the paths of a row."""

from collections.abc import Iterable

from mc_keras.connectors import Connector, CurveFitting, Linear, by_name, names
from mc_keras.paths import PolygonalChain
from mc_keras.reproduction.published import ENDS, Table

_CHAINS = {"polychain": 3, "polychain5": 5}


def connector_of(row: str, epochs: int) -> Connector:
    """The connector of a row.

    Args:
        row: Its name.
        epochs: Of the trained chains.

    Raises:
        ValueError: If there is no such method.
    """
    if row == ENDS:
        return Linear()
    if row in _CHAINS:
        return CurveFitting(curve=PolygonalChain(num_control_points=_CHAINS[row]), epochs=epochs)
    return by_name(row)


def available(row: str) -> bool:
    """Whether there is a method for a row."""
    return row == ENDS or row in _CHAINS or row in names()


def chosen_rows(table: Table, wanted: Iterable[str] | None) -> list[str]:
    """Names of the rows to compute: the end points first, which all others are compared with.

    Args:
        table: The table.
        wanted: Names, those of further methods among them; `None` for the rows of the table that
            there are methods for.

    Raises:
        ValueError: If there is no such method.
    """
    if wanted is None:
        rows = [row.name for row in table.rows if available(row.name)]
    else:
        rows = list(wanted)
        for row in rows:
            if not available(row):
                by_name(row)
    return [ENDS, *(row for row in dict.fromkeys(rows) if row != ENDS)]


def missing_rows(table: Table) -> list[str]:
    """Names of the rows that there is no method for."""
    return [row.name for row in table.rows if not available(row.name)]
