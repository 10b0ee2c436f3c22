"""What a process in a node sees of the machine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.owners import OWNERS, ROOTLESS_OWNERS, owner_of_kind

pytestmark = pytest.mark.kernel

Run = Callable[..., str]


@pytest.fixture(params=OWNERS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a command in the server of a lab and returns its output."""
    owner = owner_of_kind(request.param, request)
    with owner.lab() as name:

        def run(*command: str) -> str:
            done = owner.labctl("exec", "-l", name, "server", "--", *command)
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run


def test_its_interfaces_are_the_nodes(run: Run) -> None:
    output = run("ip", "-brief", "link")

    assert [line.split("@")[0].split()[0] for line in output.splitlines()] == [
        "lo",
        "veth_srv_c1",
        "veth_srv_c2",
    ]


def test_sys_shows_the_same_interfaces(run: Run) -> None:
    assert run("ls", "/sys/class/net").split() == ["lo", "veth_srv_c1", "veth_srv_c2"]


def test_the_names_of_the_other_nodes_resolve(run: Run) -> None:
    assert run("getent", "ahostsv4", "client2").split()[0] == "10.0.2.2"


def test_the_hosts_file_of_the_machine_is_untouched(run: Run) -> None:
    run("true")

    assert "client2" not in Path("/etc/hosts").read_text()


def test_proc_shows_the_processes_of_the_lab_and_no_others(run: Run) -> None:
    pids = run("sh", "-c", "echo /proc/[0-9]*").split()

    assert "/proc/1" in pids
    assert len(pids) < 10
    assert "labctl-holder" in run("cat", "/proc/1/comm")


def test_what_it_mounts_does_not_reach_the_machine(run: Run) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    run("sh", "-c", "mount -t tmpfs none /mnt && touch /mnt/inside && ls /mnt")

    assert "/mnt" not in {
        line.split()[4] for line in set(Path("/proc/self/mountinfo").read_text().splitlines())
    } - {line.split()[4] for line in before.splitlines()}
    assert not Path("/mnt/inside").exists()


@pytest.mark.parametrize("kind", ROOTLESS_OWNERS)
def test_commands_of_root_are_found_where_the_user_is_root(
    request: pytest.FixtureRequest, kind: str
) -> None:
    owner = owner_of_kind(kind, request)
    with owner.lab() as name:
        # As Debian gives it to whoever is not root; sysctl(8) is not there.
        done = owner.labctl(
            *("exec", "-l", name, "server", "--", "sysctl", "-n", "net.ipv4.ip_forward"),
            environment={"PATH": f"{owner.environment['PATH']}:/usr/bin:/bin".replace("sbin", "-")},
        )

        assert (done.stdout, done.stderr) == ("1\n", "")
