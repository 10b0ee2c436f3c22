"""What a lab has of its own, so that it needs no root."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.owners import ROOTLESS_OWNERS, owner_of_kind, unique_name

pytestmark = pytest.mark.kernel

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=ROOTLESS_OWNERS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a command in a node of a rootless lab."""
    owner = owner_of_kind(request.param, request)
    with owner.lab() as name:
        yield lambda *words: owner.labctl("exec", "-l", name, "client1", "--", *words)


def test_its_user_is_root_inside(run: Run) -> None:
    assert run("id", "-u").stdout == "0\n"


def test_ip_netns_lists_its_nodes_and_enters_them(run: Run) -> None:
    names = [line.split()[0] for line in run("ip", "netns").stdout.splitlines()]
    inside = run("ip", "netns", "exec", names[0], "ip", "-brief", "link")

    assert len(names) == 3
    assert inside.returncode == 0
    assert "veth" in inside.stdout


def test_ip_netns_exec_finds_the_names_of_the_nodes(run: Run) -> None:
    (server,) = (
        line.split()[0] for line in run("ip", "netns").stdout.splitlines() if "server" in line
    )
    done = run("ip", "netns", "exec", server, "getent", "ahostsv4", "client2")

    assert done.stdout.split()[0] == "10.0.2.2"


def test_the_machine_has_none_of_its_names(run: Run) -> None:
    names = {line.split()[0] for line in run("ip", "netns").stdout.splitlines()}
    netns = Path("/run/netns")

    assert not names & {path.name for path in netns.glob("*")}


def test_its_host_name_is_the_labs(run: Run) -> None:
    assert run("hostname").stdout.strip() != os.uname().nodename


def test_sudo_runs_its_command(run: Run) -> None:
    done = run("sudo", "-u", "root", "-E", "WORD=hello", "sh", "-c", "echo $WORD $(id -u)")

    assert done.stdout == "hello 0\n"


def test_sudo_without_a_command_says_how_it_is_used(run: Run) -> None:
    done = run("sudo", "-n")

    assert done.returncode == 1
    assert "usage: sudo COMMAND" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to set a limit of namespaces")
def test_a_machine_that_allows_no_namespaces_is_named_and_nothing_is_left(
    request: pytest.FixtureRequest,
) -> None:
    owner = owner_of_kind("root, rootless", request)
    name = unique_name()
    limit = "echo 0 >/proc/sys/user/max_user_namespaces"
    command = (*owner.program, "up", "two_clients", "--rootless", "--name", name)
    # In a user namespace of its own, where the limit concerns nobody else.
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", f'{limit}; exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=owner.home,
        env=dict(owner.environment),
    )

    assert done.returncode == 3
    assert "error: this machine does not let" in done.stderr
    assert "hint: " in done.stderr
    assert not owner.state(name).exists()
