import os

import pytest

from tests.cli.commands import Labctl
from tests.ordinary_user import OrdinaryUser

pytestmark = pytest.mark.kernel


def test_the_list_has_every_lab(labctl: Labctl, pair: str) -> None:
    [row] = [line for line in labctl("status").out.splitlines() if line.startswith(f"{pair} ")]
    [lab] = [lab for lab in labctl.json("status")["labs"] if lab["name"] == pair]

    assert row.split()[-2] == "2"
    assert row.endswith("labs/pair.yaml")
    assert lab["mode"] in ("root", "rootless")
    assert lab["source"].endswith("labs/pair.yaml")
    assert list(lab["nodes"]) == ["client", "server"]
    os.kill(lab["pid"], 0)


def test_a_lab_is_shown_as_the_kernel_has_it(labctl: Labctl, pair: str) -> None:
    shown = labctl("status", pair)
    assert shown.code == 0
    assert f"{pair}: up for " in shown.out
    assert "10.0.0.1/24" in shown.out

    labctl("exec", "-l", pair, "client", "ip", "link", "set", "eth0", "down")
    labctl("exec", "-l", pair, "server", "ip", "address", "add", "10.9.9.9/32", "dev", "eth0")

    [client, server] = [line for line in labctl("status", pair).out.splitlines() if "eth0" in line]
    assert " down " in client
    assert " no carrier " in server
    assert "10.9.9.9/32" in server


def test_a_lab_in_json(labctl: Labctl, rootless_pair: str) -> None:
    said = labctl.json("status", rootless_pair)

    assert said["name"] == rootless_pair
    assert said["mode"] == "rootless"
    names = [interface["name"] for interface in said["nodes"]["client"]["interfaces"]]
    assert names == ["lo", "eth0"]
    assert said["programs"] == []


def test_programs_are_shown_with_the_lab(labctl: Labctl, rootless_pair: str) -> None:
    labctl("run", "-l", rootless_pair, "-d", "client", "tail", "-f", "/dev/null")

    assert "program tail in client: running\n" in labctl("status", rootless_pair).out


@pytest.mark.slow
def test_without_labs_it_says_how_to_build_one(lone_user: OrdinaryUser) -> None:
    done = lone_user.run("labctl", "status")

    assert done.stdout == "no lab is up; `labctl up two_clients` builds one\n"
