import os

import pytest

from labctl.cli.arguments import (
    choose_rootless,
    chosen_exercise,
    chosen_program,
    command_words,
    complete_exercises,
    lab_parameters,
    lab_path,
)
from labctl.errors import LabError
from labctl.kernel.control import ProgramStatus


def _program(name: str) -> ProgramStatus:
    return ProgramStatus(name, "server", ("true",), 2, 1.0, None, None)


def test_parameters_are_split_at_the_first_equals_sign() -> None:
    assert lab_parameters(["a=1", "b=", "c=d=e"]) == {"a": "1", "b": "", "c": "d=e"}


@pytest.mark.parametrize("word", ["clients", "=5", ""])
def test_a_parameter_without_name_or_value_is_refused(word: str) -> None:
    with pytest.raises(LabError, match="sets nothing") as error:
        lab_parameters([word])
    assert error.value.hint == "write it as -p NAME=VALUE"


def test_a_lab_is_found_by_name() -> None:
    assert lab_path("two_clients").endswith("labs/two_clients.yaml")


def test_an_exercise_is_found_by_name_with_or_without_its_number() -> None:
    assert chosen_exercise("udp-time") == chosen_exercise("03-udp-time")


def test_exercises_are_completed_by_the_names_people_type() -> None:
    assert "udp-time" in complete_exercises()


def test_rootless_is_chosen_by_word_or_by_lack_of_root() -> None:
    assert choose_rootless(rootless=True, root=False)
    assert choose_rootless(rootless=False, root=False) == (os.geteuid() != 0)


def test_the_dashes_before_a_command_are_dropped_once() -> None:
    assert command_words(["--", "ls", "--"]) == ["ls", "--"]
    assert command_words(["ls"]) == ["ls"]


def test_the_only_program_need_not_be_named() -> None:
    assert chosen_program(None, [_program("echo")]) == "echo"


def test_the_named_program_is_taken_as_it_is() -> None:
    assert chosen_program("other", [_program("echo")]) == "other"


def test_among_several_programs_one_must_be_named() -> None:
    with pytest.raises(LabError, match="which program") as error:
        chosen_program(None, [_program("echo"), _program("time")])
    assert error.value.hint == "the lab's programs are: echo time"


def test_where_no_program_is_none_can_be_left_out() -> None:
    with pytest.raises(LabError, match="there is no program"):
        chosen_program(None, [])
