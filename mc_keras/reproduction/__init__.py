"""The tables and studies of Anokhin and Yarotsky, 2020, measured again."""

from mc_keras.reproduction.chains import Chains, chains_between
from mc_keras.reproduction.compare_sizes import compare_sizes
from mc_keras.reproduction.published import TABLE_1, TABLE_2, Figure, Row, Table
from mc_keras.reproduction.reproduce import reproduce
from mc_keras.reproduction.result import Reproduction
from mc_keras.reproduction.rows import missing_rows
from mc_keras.reproduction.study import METHODS, STUDIES, Study, StudyResult

__all__ = [
    "METHODS",
    "STUDIES",
    "TABLE_1",
    "TABLE_2",
    "Chains",
    "Figure",
    "Reproduction",
    "Row",
    "Study",
    "StudyResult",
    "Table",
    "chains_between",
    "compare_sizes",
    "missing_rows",
    "reproduce",
]
