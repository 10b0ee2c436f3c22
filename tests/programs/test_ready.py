import pytest

from labctl.errors import LabError
from labctl.programs.ready import Listening, Logged, parse_ready


def test_no_condition_is_ready_at_once() -> None:
    assert parse_ready("") is None


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        ("listening udp/8080", Listening("udp", 8080)),
        ("listening tcp/65535", Listening("tcp", 65535)),
        ("log READY to serve", Logged("READY to serve")),
        ("log  two spaces", Logged(" two spaces")),
    ],
)
def test_a_condition_is_understood(condition: str, meant: Listening | Logged) -> None:
    assert parse_ready(condition) == meant


@pytest.mark.parametrize(
    "condition",
    [
        "listening",
        "listening sctp/1",
        "listening tcp/0",
        "listening tcp/65536",
        "listening tcp/80 ",
        "listening tcp/\u0661",
        "log",
        "log  ",
        "ready",
    ],
)
def test_anything_else_is_refused_with_what_there_is(condition: str) -> None:
    with pytest.raises(LabError) as error:
        parse_ready(condition)

    assert condition in error.value.problem
    assert "listening udp/PORT" in error.value.hint
