import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import Labctl, unused_name
from tests.limits import LIMIT_S
from tests.ordinary_user import OrdinaryUser

pytestmark = pytest.mark.kernel


def test_down_leaves_nothing(labctl: Labctl, pair: str) -> None:
    done = labctl("down", pair)

    assert done == (0, f"{pair} is down\n", "")
    assert not labctl.is_up(pair)
    assert not list(Path("/run/netns").glob(f"{pair}-*"))


def test_down_a_second_time_is_no_error(labctl: Labctl) -> None:
    name = unused_name()

    assert labctl("down", name) == (0, "", f"{name} was not up\n")


@pytest.mark.parametrize("words", [["-l"], ["--lab"]])
def test_the_lab_may_be_an_option(labctl: Labctl, rootless_pair: str, words: list[str]) -> None:
    assert labctl("down", *words, rootless_pair).out == f"{rootless_pair} is down\n"


def test_a_lab_file_may_be_named_as_for_up(labctl: Labctl) -> None:
    lab = labctl.write("mine.yaml", "name: mine\nnodes: [a]\n")
    with labctl.lab(lab, "--rootless") as name:
        assert labctl("down", lab).out == f"{name} is down\n"


def test_an_empty_name_takes_nothing_down(labctl: Labctl, rootless_pair: str) -> None:
    for words in (["", "--all"], [""]):
        assert labctl("down", *words).code == 2
    assert labctl.is_up(rootless_pair)


@pytest.mark.slow
def test_down_without_a_name_and_down_all(lone_user: OrdinaryUser) -> None:
    nothing = lone_user.run("labctl", "down")
    assert (nothing.returncode, nothing.stderr) == (
        2,
        "error: no lab is up\n  hint: labctl up two_clients\n",
    )
    lone_user.run("labctl", "up", "pair")
    lone_user.run("labctl", "up", "pair", "--name", "second")
    unclear = lone_user.run("labctl", "down")
    assert unclear.returncode == 2
    assert unclear.stderr.startswith("error: several labs are up: pair second\n")

    assert lone_user.run("labctl", "down", "second").stdout == "second is down\n"
    assert lone_user.run("labctl", "down").stdout == "pair is down\n"

    lone_user.run("labctl", "up", "pair")
    lone_user.run("labctl", "up", "pair", "--name", "second")
    assert lone_user.run("labctl", "down", "--all").stdout == "pair is down\nsecond is down\n"
    assert lone_user.run("labctl", "status").stdout.startswith("no lab is up")


OF_A_CHECK = """
from labctl.lab import running_lab
from labctl.topology.model import Node, Topology
topology = Topology("of_a_check", (Node("a", "host", "a", (), ()),), (), ())
with running_lab(topology, is_rootless=True) as lab:
    print("up", flush=True)
    input()
    print("lives" if lab.is_alive() else "was taken down")
"""


@pytest.mark.slow
def test_a_lab_of_a_running_check_is_not_meant_unless_it_is_named(lone_user: OrdinaryUser) -> None:
    with subprocess.Popen(
        lone_user.command("python", "-c", OF_A_CHECK),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=lone_user.home,
        env=lone_user.environment,
    ) as check:
        assert check.stdout is not None
        assert check.stdout.readline() == "up\n"
        assert lone_user.run("labctl", "exec", "a", "--", "true").stderr.startswith("error: no lab")
        assert (
            lone_user.run("labctl", "exec", "-l", "of_a_check", "a", "--", "true").returncode == 0
        )

        assert lone_user.run("labctl", "up", "pair").returncode == 0
        assert lone_user.run("labctl", "exec", "client", "--", "true").returncode == 0
        listed = lone_user.run("labctl", "status").stdout
        assert "(of a check, or being built)" in listed
        assert lone_user.run("labctl", "down", "--all").stdout == "pair is down\n"
        assert check.communicate("\n", timeout=LIMIT_S)[0] == "lives\n"
