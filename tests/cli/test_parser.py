import argparse

import pytest

from labctl.cli.parser import parse


def _refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        parse(words)
    assert exit_.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["stauts"], 'there is no verb "stauts"', 'did you mean "status"?'),
        (["frobnicate"], 'there is no verb "frobnicate"', "labctl --help"),
        (["up", "-x", "pair"], '"-x" is no option of labctl up', "labctl up --help"),
        (["gc", "now"], '"now" is no word of labctl gc', "labctl gc --help"),
        (["-q"], '"-q" is no option of labctl', "labctl --help"),
        (["up", "pair", "--name"], "argument --name: expected one argument", "labctl up --help"),
        (["exec"], "missing: NODE, -- CMD…", "labctl exec --help"),
        (["run", "client"], "missing: PROGRAM", "labctl run --help"),
        (
            ["up", "pair", "--root", "--rootless"],
            "argument --rootless: not allowed with argument --root",
            "labctl up --help",
        ),
    ],
)
def test_words_that_make_no_sense(
    words: list[str], error: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _refused(words, capsys) == f"error: {error}\n  hint: {hint}\n"


def test_up_without_a_lab_names_those_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    shown = _refused(["up"], capsys)

    assert "error: missing: LAB" in shown
    assert "hint: the labs here are: alone " in shown
    assert " two_clients" in shown


def test_a_shell_that_cannot_be_completed_names_those_that_can(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "bash" in _refused(["completion", "tcsh"], capsys)


def test_options_may_stand_before_the_verb() -> None:
    args = parse(["--rootless", "up", "pair"])

    assert args.rootless
    assert args.lab == "pair"


def test_the_words_of_a_command_are_its_own() -> None:
    args = parse(["exec", "client", "--", "ls", "--help", "-l", "--", "x"])

    assert args.node == "client"
    assert [word for word in args.command if word != "--"] == ["ls", "--help", "-l", "x"]
    assert args.lab is None


@pytest.mark.parametrize(
    "words", [["ps", "-l", "x"], ["ps", "x"], ["ps", "--lab", "x"], ["ps", "--lab=x"]]
)
def test_a_lab_may_be_given_either_way(words: list[str]) -> None:
    assert _lab(parse(words)) == "x"


def test_a_lab_may_be_left_out() -> None:
    assert _lab(parse(["ps"])) is None


def _lab(args: argparse.Namespace) -> object:
    return args.lab
