"""Building a lab from Python and from several sides at once."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.kernel import netlink
from labctl.kernel.control import Control
from labctl.kernel.netem_present import has_netem
from labctl.lab import host_abilities, running_lab
from labctl.plan.backend import Impairments
from labctl.topology.cache import load_topology
from labctl.topology.copies import as_copy
from labctl.wait import until
from tests.owners import OWNERS, Owner, owner_of_kind, unique_name
from tests.plan.labs import two_clients

CHECKOUT = Path(__file__).parent.parent

IFLA_MASTER, IFLA_OPERSTATE, OPERSTATE_UP = 10, 16, b"\6"

SCRIPT = """
import sys
from labctl.lab import running_lab
from labctl.topology.model import Endpoint, Link, Node, Topology
name, is_rootless, fails = sys.argv[1], sys.argv[2] == "rootless", sys.argv[3] == "fails"
nodes = tuple(Node(n, "host", f"{name}-{n}", (), ()) for n in "ab")
ends = (Endpoint("a", "eth0", ("10.0.0.1/24",), ""), Endpoint("b", "eth0", ("10.0.0.2/24",), ""))
topology = Topology(name, nodes, (Link(*ends, 0),), ())
with running_lab(topology, is_rootless=is_rootless) as lab:
    assert lab.is_alive() and lab.netns("a") == f"{name}-a"
    state = lab.state
    if fails:
        raise ZeroDivisionError
print("left" if state.exists() else "gone")
"""


@pytest.mark.kernel
@pytest.mark.parametrize("mode", ["root", "rootless"] if os.geteuid() == 0 else ["rootless"])
@pytest.mark.parametrize("end", ["well", "fails"])
def test_a_lab_lasts_as_long_as_its_with_block(mode: str, end: str) -> None:
    name = unique_name()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, mode, end],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )

    if end == "well":
        assert (done.stdout, done.stderr) == ("gone\n", "")
    else:
        assert "ZeroDivisionError" in done.stderr
    assert not list(Path("/run/netns").glob(f"{name}*"))


@pytest.mark.kernel
@pytest.mark.parametrize("impairments", ["none", "wire"])
def test_a_switch_passes_frames_from_the_beginning(impairments: Impairments) -> None:
    topology = load_topology(str(CHECKOUT / "labs" / "lan.yaml"), {})
    for _ in range(5):
        name = unique_name()
        with (
            running_lab(as_copy(topology, name), is_rootless=True, impairments=impairments) as lab,
            Control(lab.state).open_socket(
                lab.netns("switch"), socket.AF_NETLINK, socket.SOCK_RAW
            ) as sock,
        ):
            # All of them in one answer: that does not make the kernel hurry.
            request = netlink.message(netlink.RTM_GETLINK, netlink.NLM_F_DUMP, bytes(16))
            links = [dict(netlink.attributes(body, 16)) for _, body in netlink.dump(sock, request)]
        ports = [link for link in links if IFLA_MASTER in link]
        assert [port[IFLA_OPERSTATE] for port in ports] == [OPERSTATE_UP] * 3


@pytest.mark.parametrize(
    ("impairments", "times"), [("auto", 1), ("netem", 1), ("wire", 0), ("none", 0)]
)
def test_the_kernel_is_not_asked_for_netem_where_the_answer_is_not_used(
    impairments: Impairments, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def counting() -> bool:
        asked.append(has_netem())
        return asked[-1]

    monkeypatch.setattr("labctl.lab.has_netem", counting)
    abilities = host_abilities(two_clients(), impairments)

    assert len(asked) == times
    assert abilities.netem is any(asked)


@pytest.fixture(params=OWNERS)
def owner(request: pytest.FixtureRequest) -> Owner:
    return owner_of_kind(request.param, request)


@pytest.mark.kernel
def test_of_several_ups_of_one_name_one_succeeds(owner: Owner) -> None:
    for _ in range(3):
        with owner.name() as name:
            words = ("up", "two_clients", "--name", name, *owner.up_options)
            ups = [owner.start(*words) for _ in range(3)]
            errors = [up.communicate(timeout=60)[1] for up in ups]

            assert sorted(up.returncode for up in ups) == [0, 2, 2], errors
            assert sum("is up already" in error for error in errors) == 2
            assert owner.labctl("exec", "-l", name, "server", "true").returncode == 0


@pytest.mark.kernel
def test_a_lab_can_be_built_while_gc_runs(owner: Owner) -> None:
    for _ in range(5):
        with owner.name() as name:
            collectors = [owner.start("gc") for _ in range(2)]
            done = owner.labctl("up", "two_clients", "--name", name, *owner.up_options)
            errors = [collector.communicate(timeout=60)[1] for collector in collectors]

            assert done.returncode == 0, done.stderr
            assert errors == ["", ""]


@pytest.mark.kernel
def test_a_lab_can_be_built_again_after_a_crash(owner: Owner) -> None:
    with owner.lab() as name:
        os.kill(owner.holder_pid(name), 9)
        assert until(lambda: not owner.state(name).is_up(), within_s=30)
        owner.up(name)

        assert owner.labctl("exec", "-l", name, "server", "true").returncode == 0


@pytest.mark.kernel
@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to put a small disk at /run/labctl")
@pytest.mark.parametrize("option", ["--root", "--rootless"])
@pytest.mark.parametrize("inodes", range(2, 11, 2))
def test_a_full_disk_is_an_error_for_the_user(
    option: str, inodes: int, request: pytest.FixtureRequest
) -> None:
    owner = owner_of_kind("root", request)
    name = unique_name()
    small_disk = f"mount -t tmpfs -o mode=700,nr_inodes={inodes} none /run/labctl"
    script = f'mkdir -p /run/labctl; {small_disk}; "$@"; code=$?; ls /run/labctl; exit $code'
    command = (*owner.program, "up", "two_clients", option, "--name", name)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=owner.home,
        env=dict(owner.environment),
    )

    assert done.returncode == 3, done.stderr
    assert "No space left on device" in done.stderr
    assert "labctl itself failed" not in done.stderr
    assert done.stdout == ""
    assert not list(Path("/run/netns").glob(f"{name}*"))
