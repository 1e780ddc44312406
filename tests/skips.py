"""What becomes of skipped tests: named at the end, and with CI=true a failure."""

import os
from collections import Counter

import pytest


def _skipped(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return [] if reporter is None else reporter.stats.get("skipped", [])


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = _skipped(config)
    if not skipped:
        return
    is_failure = os.environ.get("CI") == "true"
    terminalreporter.section("skipped by name" + (": a failure with CI=true" if is_failure else ""), red=is_failure)
    for reason, count in sorted(Counter(map(_reason, skipped)).items()):
        terminalreporter.line(f"{count:5} {reason}")
    if is_failure:
        for report in skipped:
            terminalreporter.line(f"SKIPPED {report.nodeid}")


def _reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
