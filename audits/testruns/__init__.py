"""Test reports -> results, and the comparison of two runs. Pure: a stream of bytes in, frozen values out.

Both kinds of report name a test in the same way, ``package.module.Class::test[parameter]``, so that runs of either kind
compare.
"""

from audits.testruns.comparison import (
    SLOWER_SECONDS,
    SLOWER_TIMES,
    Change,
    Comparison,
    compare,
    ended_both_ways,
    latest,
)
from audits.testruns.json_report import name_of_node, read_json_report
from audits.testruns.junit import read_junit
from audits.testruns.results import Limits, Outcome, ReportError, Result, Skipped

__all__ = [
    "SLOWER_SECONDS",
    "SLOWER_TIMES",
    "Change",
    "Comparison",
    "Limits",
    "Outcome",
    "ReportError",
    "Result",
    "Skipped",
    "compare",
    "ended_both_ways",
    "latest",
    "name_of_node",
    "read_json_report",
    "read_junit",
]
