"""Tables, result files and pages that compare paths between the same two networks."""

from mc_keras.reporting.comparison import Comparison
from mc_keras.reporting.explanations import explain
from mc_keras.reporting.figures import write_figures
from mc_keras.reporting.html import write_html_report
from mc_keras.reporting.results import write_results
from mc_keras.reporting.table import comparison_table

__all__ = [
    "Comparison",
    "comparison_table",
    "explain",
    "write_figures",
    "write_html_report",
    "write_results",
]
