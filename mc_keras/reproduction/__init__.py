"""The tables of Anokhin and Yarotsky, 2020, measured again."""

from mc_keras.reproduction.published import TABLE_1, TABLE_2, Figure, Row, Table
from mc_keras.reproduction.reproduce import reproduce
from mc_keras.reproduction.result import Reproduction
from mc_keras.reproduction.rows import missing_rows

__all__ = [
    "TABLE_1",
    "TABLE_2",
    "Figure",
    "Reproduction",
    "Row",
    "Table",
    "missing_rows",
    "reproduce",
]
