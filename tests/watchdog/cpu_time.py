"""A pytest plugin that measures the CPU time of every test, which does not depend on how busy a machine is.

At the end it says how much the fast and the slow tests used, and names tests that should be marked slow.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

SLOW_S = 2.0  # of CPU time; more belongs out of 'make check'


def cpu_time_s() -> float:
    """CPU time of this process and of its children that have ended."""
    usages = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class CpuTimes:
    """Measures where tests run, and sums up where results are shown: with pytest-xdist, other processes."""

    def __init__(self) -> None:
        self._start = 0.0
        self._totals = {"fast": 0.0, "slow": 0.0}
        self._unmarked: list[tuple[float, str]] = []

    def pytest_runtest_setup(self) -> None:
        """Note where the test starts."""
        self._start = cpu_time_s()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Send the CPU time along with the test's last report."""
        if call.when == "teardown":
            item.user_properties.append(("cpu_s", cpu_time_s() - self._start))
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Sum up."""
        if report.when == "teardown":
            used = float(str(dict(report.user_properties)["cpu_s"]))
            slow = "slow" in report.keywords
            self._totals["slow" if slow else "fast"] += used
            if used > SLOW_S and not slow:
                self._unmarked.append((used, report.nodeid))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the sums."""
        terminalreporter.line(
            f"CPU time: fast tests {self._totals['fast']:.0f} s, slow tests {self._totals['slow']:.0f} s"
        )
        for used, name in sorted(self._unmarked, reverse=True):
            terminalreporter.line(f"{used:6.1f} s of CPU time, to be marked slow: {name}")
