"""What every test may use, and what the whole run answers for: no kernel test skipped, nothing left."""

import functools
import os
import signal
import subprocess
import uuid
from collections.abc import Generator

import pytest

from tests import leftovers
from tests import ordinary_user as users
from tests.limits import LIMIT_S
from tests.uml import guest

NOTHING_SKIPPED = bool(os.environ.get("CI") or os.environ.get("LABCTL_REQUIRE_KERNEL"))

RUN_VARIABLE = "LABCTL_TEST_RUN"
"""Every process of a run inherits this variable, which is how those that stay are found."""

_before = pytest.StashKey[leftovers.Snapshot]()
_after = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def ordinary_user() -> users.OrdinaryUser:
    """Runs commands as a user without privileges, in whose path is labctl from the wheel."""
    run = os.environ[RUN_VARIABLE]
    user = users.ordinary_user(run, os.environ.get("PYTEST_XDIST_WORKER", "main"))
    user.environment[RUN_VARIABLE] = run
    return user


@functools.cache
def _why_no_namespaces() -> str:
    command = ["unshare", "--net", "true"]
    if os.geteuid() != 0:
        command[1:1] = ["--user", "--map-root-user"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unshare(1) is not installed"
    return "" if done.returncode == 0 else done.stderr.strip()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("kernel") and (reason := _why_no_namespaces()):
        pytest.skip(f"no network namespaces here ({reason}): `labctl doctor` names the remedy")
    if item.get_closest_marker("uml") and (reason := guest.why_none()):
        if os.environ.get("CI"):
            pytest.fail(f"CI is set, and {reason}", pytrace=False)
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # Those of netem are skipped here and run in the guest of tests/uml, which forbids it there.
    if (
        NOTHING_SKIPPED
        and item.get_closest_marker("kernel")
        and not item.get_closest_marker("netem")
    ):
        _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if NOTHING_SKIPPED:
        # A whole module: nobody can tell what was in it.
        _forbid_skip(report)
    return report


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\nnothing may be skipped with CI or LABCTL_REQUIRE_KERNEL set"


# A frame, or a megabyte that a reader has to refuse, is no name: it stands in every report and goes
# to the workers and back.
LONGEST_ID = 60


def pytest_make_parametrize_id(val: object) -> str | None:
    if not isinstance(val, str | bytes) or len(val) <= LONGEST_ID:
        return None
    start = val[: LONGEST_ID // 3]
    return f"{start if isinstance(start, str) else start.hex()}... ({len(val)})"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Fast and pure first: what they find wrong explains what fails after them. The longest of
    # the slow ones are not left for the end, when there is nothing to run beside them.
    items.sort(
        key=lambda item: (
            item.get_closest_marker("kernel") is not None,
            item.get_closest_marker("slow") is not None,
            item.get_closest_marker("long") is None,
        )
    )


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _hear_the_terminal() -> None:
    # A shell without job control starts what it puts in the background (`make test &`) with these
    # ignored, and nohup(1) the first; so would every program be that a test starts to interrupt it.
    for number, usual in (
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_configure(config: pytest.Config) -> None:
    _hear_the_terminal()
    if not _is_worker(config):
        os.environ[RUN_VARIABLE] = uuid.uuid4().hex
        config.stash[_before] = leftovers.snapshot()


# Last: by then pytest-xdist has ended its workers.
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _is_worker(session.config):
        return
    # First: who has still a process cannot be removed.
    processes = leftovers.processes(f"{RUN_VARIABLE}={os.environ[RUN_VARIABLE]}", LIMIT_S)
    users.remove(os.environ[RUN_VARIABLE])
    left = [*processes, *leftovers.since(session.config.stash[_before])]
    session.config.stash[_after] = left
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left = config.stash.get(_after, [])
    if left:
        terminalreporter.section("left behind by the tests", red=True)
        for line in left:
            terminalreporter.line(line)
