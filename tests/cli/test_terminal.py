import io
import os
from collections.abc import Iterator
from typing import TextIO

import pytest

from labctl.cli.terminal import ProgressLine, ago, has_colour, paint, print_error, print_table
from labctl.errors import LabError


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """A stream that is a terminal."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown, stream = os.openpty()
    with os.fdopen(stream, "w") as opened:
        yield opened
    os.close(shown)


def test_a_terminal_has_colours(terminal: TextIO) -> None:
    assert has_colour(terminal)
    assert paint("up", "green", terminal) == "\x1b[32mup\x1b[0m"


def test_a_file_has_none() -> None:
    assert not has_colour(io.StringIO())


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_refused(
    terminal: TextIO, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    assert paint("up", "green", terminal) == "up"


def test_an_error_says_where_what_and_what_next(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(LabError("it broke", where="x.yaml:3", hint="mend it", output="one\ntwo"))

    assert capsys.readouterr().err == (
        "error: x.yaml:3: it broke\n  | one\n  | two\n  hint: mend it\n"
    )


def test_a_table_lines_its_columns_up(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "STATE"), [("a", "up"), ("longer", "")])

    assert capsys.readouterr().out == "NAME    STATE\na       up\nlonger\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (86400 * 3, "3d")],
)
def test_a_length_of_time_has_one_unit(seconds: float, text: str) -> None:
    assert ago(seconds) == text


def test_progress_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine()
    line.show("building")
    line.clear()

    assert capsys.readouterr().err == ""


def test_a_log_gets_a_line_of_progress_twice_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0, 10, 31, 31, 50, 62, 62])
    line = ProgressLine(lambda: next(times))

    for done in range(4):
        line.show(f"{done} of 4")
    line.clear()

    assert capsys.readouterr().err == "1 of 4\n3 of 4\n"


def test_progress_leaves_the_line_empty(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = io.StringIO()
    monkeypatch.setattr(watched, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", watched)
    line = ProgressLine()
    line.show("100 %")
    line.show("done")
    line.clear()

    assert watched.getvalue() == "\r100 %\rdone \r    \r"
