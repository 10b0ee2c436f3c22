import re

import pytest

from tests.cli.commands import Labctl

pytestmark = pytest.mark.kernel

SPEAKS = "echo out; echo err >&2; exec tail -f /dev/null"


def _start(labctl: Labctl, lab: str, name: str, script: str, ready: str) -> None:
    done = labctl(
        "run", "-l", lab, "-d", "--ready", f"log {ready}", "--name", name, "client", "sh", "-c", script
    )  # fmt: skip
    assert done.code == 0, done.err


def test_both_streams_are_kept_in_order(labctl: Labctl, pair: str) -> None:
    _start(labctl, pair, "speaker", SPEAKS, "err")

    assert labctl("logs", "-l", pair, "speaker") == (0, "out\nerr\n", "")


def test_the_only_program_need_not_be_named(labctl: Labctl, rootless_pair: str) -> None:
    _start(labctl, rootless_pair, "speaker", SPEAKS, "err")
    assert labctl("logs", "-l", rootless_pair).out == "out\nerr\n"

    _start(labctl, rootless_pair, "second", SPEAKS, "err")
    assert "hint: the lab's programs are: speaker second" in labctl("logs", "-l", rootless_pair).err


def test_lines_can_have_their_times(labctl: Labctl, rootless_pair: str) -> None:
    _start(labctl, rootless_pair, "speaker", SPEAKS, "err")
    lines = labctl("logs", "-l", rootless_pair, "-t", "speaker").out.splitlines()

    assert len(lines) == 2
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} (out|err)", line) for line in lines)


def test_following_ends_with_the_program(labctl: Labctl, rootless_pair: str) -> None:
    _start(labctl, rootless_pair, "speaker", SPEAKS, "err")
    with labctl.running("logs", "-f", "-l", rootless_pair, "speaker") as command:
        command.expect("out")
        command.expect("err")
        assert labctl("stop", "-l", rootless_pair, "speaker").code == 0
        assert command.rest() == ""
        assert command.end() == (0, "")


def test_following_ends_with_the_lab(labctl: Labctl, rootless_pair: str) -> None:
    _start(labctl, rootless_pair, "speaker", SPEAKS, "err")
    with labctl.running("logs", "-f", "-l", rootless_pair, "speaker") as command:
        command.expect("out")
        command.expect("err")
        assert labctl("down", rootless_pair).code == 0
        assert command.rest() == ""
        assert command.end() == (0, "")


def test_times_and_following_exclude_each_other(labctl: Labctl, rootless_pair: str) -> None:
    done = labctl("logs", "-f", "-t", "-l", rootless_pair, "speaker")

    assert done.code == 2
    assert "error: -f shows no times" in done.err


def test_a_program_that_does_not_exist(labctl: Labctl, rootless_pair: str) -> None:
    done = labctl("logs", "-l", rootless_pair, "nobody")

    assert done.code == 2
    assert 'error: the lab has no program "nobody"' in done.err
    assert "hint: " in done.err
