"""The tests' database server and browser: found or started before the first test, told about where they are missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone, translation
from pytest_django import DjangoDbBlocker

from provisioning.local.database import cluster, postgres
from tests import chromium, databases

# The same examples in every run: what is green today is not red tomorrow by chance. With HYPOTHESIS_EXAMPLES, new ones.
_SEARCH = "HYPOTHESIS_EXAMPLES" in os.environ
hypothesis.settings.register_profile("tests", derandomize=not _SEARCH, database=None, deadline=None)
hypothesis.settings.load_profile("tests")

_BROWSER_TESTS = Path(__file__).parent / "browser"


def pytest_configure(config: pytest.Config) -> None:
    """Hold the embedded server for the length of the run, unless DATABASE_URL names another one."""
    if os.environ.get("DATABASE_URL") or hasattr(config, "workerinput"):
        return  # workers of a parallel run share the server that the first process holds
    root = Path(__file__).resolve().parent.parent
    try:
        server = postgres.start(Path(os.environ.get("STATE_DIR") or root / ".state").resolve())
    except cluster.Problem as problem:
        pytest.exit(str(problem), returncode=1)
    config.add_cleanup(server.release)


@pytest.fixture(autouse=True)
def _in_the_products_language() -> Iterator[None]:
    """Forget the language and the time zone of the last request: the next test may ask without one."""
    yield
    translation.deactivate()
    timezone.deactivate()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: DjangoDbBlocker
) -> None:
    """Have the database of this process cloned from the template, and emptied quickly."""
    with django_db_blocker.unblock():
        databases.use_template()
    TransactionTestCase._fixture_teardown = databases.empty_tables  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Let tests with real transactions empty the tables afterwards, which the product's database refuses.

    Only the triggers against TRUNCATE are off; no setting could turn them off outside of the tests' database.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE provisioning_event DISABLE TRIGGER event_is_not_emptied")
        cursor.execute("ALTER TABLE provisioning_historyhead DISABLE TRIGGER head_is_not_emptied")
        cursor.execute("ALTER TABLE provisioning_operatorevent DISABLE TRIGGER operator_event_is_not_emptied")
        cursor.execute("ALTER TABLE provisioning_operatorsloghead DISABLE TRIGGER operators_head_is_not_emptied")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the browser tests out where there is no browser; the summary says so."""
    if chromium.find() is None:
        for item in items:
            if _BROWSER_TESTS in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no Chromium"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line which tests did not run for want of a browser, and how to get it."""
    skipped = _browser_reports(terminalreporter, "skipped")
    if skipped and chromium.find() is None:
        terminalreporter.write_line(
            f"{skipped} tests of tests/browser did not run because no Chromium was found: {chromium.HOW_TO_GET}.",
            yellow=True,
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With REQUIRE_BROWSER=1, a run in which a browser test did not run has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("REQUIRE_BROWSER") != "1" or reporter is None or hasattr(session.config, "workerinput"):
        return
    if _browser_reports(reporter, "skipped") or not _browser_reports(reporter, "passed"):
        reporter.write_line("\nA browser test did not run, and REQUIRE_BROWSER=1 asks for all of them.", red=True)
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def _browser_reports(reporter: pytest.TerminalReporter, outcome: str) -> int:
    return sum(1 for report in reporter.stats.get(outcome, []) if report.nodeid.startswith("tests/browser/"))
