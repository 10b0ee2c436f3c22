"""The pytest plugin: fixtures and marks for checks, and whose fault each result is.

```python
@pytest.mark.points(4)
def test_answers(lab: Lab, submission: Submission) -> None:
    \"\"\"the server answers a request\"\"\"
    submission.start("server", "echo_server", "0.0.0.0", "7000")
    client = lab["client1"].udp(to=("10.0.1.1", 7000))
    client.send(b"hi")
    expect_equal(client.receive(), b"hi", "the answer")
```

pytest loads it wherever labctl is installed; it minds only tests that use ``submission`` or ``lab``.
"""

import random
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from labctl.grading.judge import Judge
    from labctl.grading.lab import Lab
    from labctl.grading.submission import Submission

_MARKS = (
    "points(number): what the check is worth",
    'needs("test_…", …): checks that have to pass before this one is judged',
    'visibility("visible" | "after_due_date" | "after_published" | "hidden"): who sees the result',
    "seeds(number): run the check so many times, each with another seed; it passes if all do",
    "lab(name, **parameters): the lab of this check, where it is not the exercise's",
)

_AGAIN_S = 5.0

_judge = pytest.StashKey["Judge"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("labctl", "checks of network programs (labctl)")
    group.addoption("--submission", metavar="DIR", help="the programs to check")
    group.addoption(
        "--exercise",
        metavar="DIR",
        help="the folder of exercise.yaml; by default the one above the checks'",
    )
    group.addoption(
        "--labctl-seed", metavar="N", type=int, default=1, help="of the random choices (1)"
    )
    group.addoption(
        "--labctl-sandbox",
        choices=("auto", "require", "none"),
        default="auto",
        help="whether the programs run in a sandbox; auto: where the machine has one",
    )
    group.addoption(
        "--labctl-root", action="store_true", help="make the labs as root does, not rootless"
    )
    group.addoption("--labctl-keep", metavar="DIR", default="", help="keep packets and drawings")
    group.addoption("--labctl-only", metavar="CHECKS", default="", help="names, by commas")
    group.addoption("--labctl-events-fd", type=int, default=-1, help="for `labctl check` itself")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    for mark in _MARKS:
        config.addinivalue_line("markers", mark)


def _is_check(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and bool(
        {"submission", "lab"} & set(item.fixturenames) and _has_our_fixtures(item)
    )


def _has_our_fixtures(item: pytest.Function) -> bool:
    # A test suite may well have a fixture `lab` of its own.
    definitions = item._fixtureinfo.name2fixturedefs
    return any(
        definitions[name][-1].func.__module__ == __name__
        for name in ("submission", "lab")
        if definitions.get(name)
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a check once for each of its seeds."""
    definitions = metafunc._arg2fixturedefs.get("seed")
    if not definitions or definitions[-1].func.__module__ != __name__:
        return
    mark = metafunc.definition.get_closest_marker("seeds")
    first = metafunc.config.getoption("--labctl-seed")
    count = mark.args[0] if mark else 1
    seeds = range(first, first + count)
    metafunc.parametrize("seed", seeds, indirect=True, ids=[f"seed {seed}" for seed in seeds])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose what is asked for, and open the book in which results are kept."""
    checks = [item for item in items if _is_check(item)]
    if not checks:
        return
    from labctl.grading.judge import Judge

    judge = config.stash[_judge] = Judge.of(config, checks)
    left_out = [item for item in checks if not judge.is_wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    judge.announce()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a check whose needs have not passed."""
    judge = _judge_of(item)
    if judge and (blocked_by := judge.begin(item)):
        pytest.skip(f'not checked: "{blocked_by}" has to pass first')


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """End a check that takes too long."""
    judge = _judge_of(item)
    if judge is None:
        return (yield)
    with _within(judge.check_seconds):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say whose fault it is; show the learner's without a traceback."""
    judge = _judge_of(item)
    if judge is None:
        return (yield)
    with _without_sources(item.config):
        report = yield
    text = judge.note(item, call)
    if text:
        report.longrepr = text
    return report


@contextmanager
def _without_sources(config: pytest.Config) -> Iterator[None]:
    """Have pytest make less of a failure: it would read and parse the check, for nobody to see."""
    style = config.option.tbstyle
    config.option.tbstyle = "line"
    try:
        yield
    finally:
        config.option.tbstyle = style


def _judge_of(item: pytest.Item) -> "Judge | None":
    return item.config.stash.get(_judge, None) if _is_check(item) else None


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    from labctl.errors import machine_error

    def give_up(number: int, frame: object) -> NoReturn:
        raise machine_error(
            f"the check took longer than {seconds:g} s",
            hint="is the machine very busy? `limits: {check_seconds: N}` in exercise.yaml gives more",
        )

    before = signal.signal(signal.SIGALRM, give_up)
    # Again and again: the first error may be lost, as in the `__del__` of something.
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run of the check; the same one gives the same random choices."""
    number: int = request.param
    return number


@pytest.fixture
def rng(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """Random choices that are the same for the same seed."""
    return random.Random(f"{seed} {request.node.originalname}")


@pytest.fixture
def lab(request: pytest.FixtureRequest, seed: int) -> "Iterator[Lab]":
    """A fresh lab, as ``exercise.yaml`` or the mark ``lab`` names it."""
    judge = request.config.stash[_judge]
    with judge.lab(request.node, seed) as checked:
        yield checked


@pytest.fixture
def submission(request: pytest.FixtureRequest, lab: "Lab") -> "Submission":
    """The programs of the submission under check."""
    return request.config.stash[_judge].submission(lab)
