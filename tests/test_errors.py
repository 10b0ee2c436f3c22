"""LabError: a sentence with where and what next."""

from labctl.errors import LabError, LabErrors, machine_error


def test_an_error_reads_as_place_and_problem() -> None:
    assert str(LabError("no such node", where="lab.yaml:3")) == "lab.yaml:3: no such node"
    assert str(LabError("no lab is up")) == "no lab is up"


def test_an_error_is_the_users_unless_it_says_otherwise() -> None:
    assert LabError("no such node").exit_code == 2
    assert machine_error("no memory").exit_code == 3


def test_several_errors_end_with_the_gravest_code() -> None:
    errors = LabErrors([LabError("a", exit_code=2), machine_error("b"), LabError("c")])
    assert errors.exit_code == 3
    assert str(errors) == "a\nb\nc"
