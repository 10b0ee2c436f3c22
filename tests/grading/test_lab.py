"""The lab of a check: what its nodes do, and faults that prove themselves."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.grading.lab import Lab, as_checked, checked_lab
from labctl.grading.unmet import Unmet
from labctl.kernel.diag import SocketEntry
from labctl.topology.load import load_topology_uncached
from labctl.wait import until
from tests.grading.workshop import MODES
from tests.limits import LIMIT_S

pytestmark = pytest.mark.kernel

LABS = Path(__file__).parent.parent.parent / "labs"
SOON_S = 0.05


@pytest.fixture(params=MODES, ids=lambda rootless: "rootless" if rootless else "root")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    topology = load_topology_uncached(str(LABS / "two_clients.yaml"), {})
    with checked_lab(as_checked(topology), is_rootless=request.param, seed=3) as made:
        yield made


@pytest.fixture
def pair() -> Iterator[Lab]:
    topology = load_topology_uncached(str(LABS / "pair.yaml"), {})
    with checked_lab(as_checked(topology), is_rootless=True, seed=3) as made:
        yield made


def test_two_of_one_lab_are_up_at_once() -> None:
    topology = load_topology_uncached(str(LABS / "two_clients.yaml"), {})
    for is_rootless in MODES:
        with (
            checked_lab(as_checked(topology), is_rootless=is_rootless, seed=1) as one,
            checked_lab(as_checked(topology), is_rootless=is_rootless, seed=1) as two,
        ):
            assert one.running.name != two.running.name


def test_nodes_talk_udp_and_tcp(lab: Lab) -> None:
    server = lab["server"].udp(bind=("0.0.0.0", 8080))
    client = lab["client2"].udp(to=("10.0.2.1", 8080))
    client.send(b"hi")
    assert server.receive_from() == (b"hi", client.address)

    listener = lab["server"].listen(8085)
    connection = lab["client1"].connect(("10.0.1.1", 8085))
    accepted = listener.accept()
    connection.send(b"hello\n")
    assert accepted.line() == b"hello"
    assert accepted.peer == connection.address


def test_a_port_that_nobody_listens_on_is_told(lab: Lab) -> None:
    assert lab["client1"].connect_error(("10.0.1.1", 7)) == "ECONNREFUSED"
    with pytest.raises(Unmet, match=r"refused \(RST\)"):
        lab["client1"].connect(("10.0.1.1", 7))


def test_sockets_are_shown_as_the_kernel_has_them(lab: Lab) -> None:
    lab["server"].listen(8085, backlog=5)
    connection = lab["client1"].connect(("10.0.1.1", 8085))
    connection.send(b"12345")

    def both() -> dict[str, SocketEntry]:
        states = {entry.state: entry for entry in lab["server"].sockets("tcp", 8085)}
        return states if set(states) == {"LISTEN", "ESTAB"} else {}

    # The client is connected as soon as the server has answered it; the server after that.
    states = until(both, LIMIT_S)
    assert states
    assert (states["LISTEN"].recv_q, states["LISTEN"].send_q) == (1, 5)
    assert lab["server"].sockets("tcp", 9) == []


def test_commands_run_in_a_node(lab: Lab) -> None:
    ended = lab["client1"].run("ping", "-c", "1", "server")
    assert ended.exit_status == 0, ended
    assert lab["client1"].run("sh", "-c", "cat; exit 3", feed=b"x").stdout == b"x"
    assert lab["client1"].run("sh", "-c", "kill -TERM $$").exit_status == -signal.SIGTERM


def test_a_command_that_is_not_there_is_our_fault(pair: Lab) -> None:
    with pytest.raises(LabError, match='the check needs "no-such-command"'):
        pair["client"].run("no-such-command")


def test_a_command_that_does_not_end_is_our_fault(pair: Lab) -> None:
    with pytest.raises(LabError, match="still running"):
        pair["client"].run("tail", "-f", "/dev/null", within_s=SOON_S)
    [program] = pair.programs
    assert not program.is_running()


def test_sysctls_change_what_a_node_does(lab: Lab) -> None:
    assert lab["client1"].run("ping", "-c", "1", "-W", "5", "10.0.2.2").exit_status == 0
    lab["server"].set("net.ipv4.ip_forward", "0")
    assert lab["client1"].run("ping", "-c", "1", "-W", "0.2", "10.0.2.2").exit_status == 1
    with pytest.raises(LabError, match=r"net\.ipv4\.no_such"):
        lab["server"].set("net.ipv4.no_such", "1")


def test_no_two_nodes_choose_the_same_port(lab: Lab) -> None:
    taken: list[range] = []
    for node in lab.nodes:
        said = node.run("cat", "/proc/sys/net/ipv4/ip_local_port_range").stdout.split()
        first, last = map(int, said)
        chosen = node.socket(socket.AF_INET, socket.SOCK_DGRAM)
        chosen.bind(("0.0.0.0", 0))

        assert first <= chosen.getsockname()[1] <= last
        assert 32768 <= first < last <= 60999
        assert (first % 2, last % 2) == (0, 1)  # connect() takes even ones first, bind() odd ones
        assert not any(first in others or last in others for others in taken)
        taken.append(range(first, last + 1))
    assert len(taken) == 3


def test_every_refusal_is_answered(lab: Lab) -> None:
    """With the kernel's own limit on ICMP only some of these would be."""
    client = lab["client1"].udp(to=("10.0.1.1", 9))
    for _ in range(30):
        client.socket.send(b"x")
        assert client.error() == "ECONNREFUSED"


def test_packets_are_found_by_node_and_direction(lab: Lab) -> None:
    server = lab["server"].udp(bind=("0.0.0.0", 8080))
    lab["client1"].udp(to=("10.0.1.1", 8080)).send(b"hi")
    server.receive()

    assert len(lab.packets("udp port 8080", sent_by="client1")) == 1
    assert len(lab.packets("udp port 8080", received_by="server")) == 1
    assert lab.packets("udp port 8080", sent_by="server") == []
    assert len(lab.packets("udp port 8080")) == 2
    assert "hi" in lab.drawing()


def test_a_node_that_is_not_there_is_our_fault(pair: Lab) -> None:
    with pytest.raises(LabError, match='no node "sever"') as raised:
        pair["sever"]
    assert "client server" in raised.value.hint


NEARLY_NEVER = {"client->server": [{"drop": {"match": "udp port 9", "p": "0.0001%"}}]}
DROP_SECOND = {"client->server": [{"drop": {"match": "udp port 9", "packets": [2]}}]}


def _send(lab: Lab, count: int) -> list[bytes]:
    server = lab["server"].udp(bind=("0.0.0.0", 9))
    client = lab["client"].udp(to=(lab["server"].address, 9))
    for number in range(count):
        client.send(b"%d" % number)
    return [server.receive() for _ in range(count - 1)]


def test_a_fault_that_happened_is_proven_and_drawn(pair: Lab) -> None:
    with pair.faults(DROP_SECOND) as armed:
        assert _send(pair, 3) == [b"0", b"2"]

    assert armed.seed == 3
    assert "lost" in pair.drawing()


def test_a_fault_that_did_not_happen_breaks_the_check(pair: Lab) -> None:
    def judge() -> None:
        with pair.faults(NEARLY_NEVER):
            _send(pair, 1)

    with pytest.raises(LabError, match="the fault did not happen"):
        judge()


def test_too_few_packets_for_the_fault_are_the_senders_failure(pair: Lab) -> None:
    with (
        pytest.raises(Unmet, match='client sends at least 2 packets that match "udp port 9"') as e,
        pair.faults(DROP_SECOND),
    ):
        pair["client"].udp(to=(pair["server"].address, 9)).send(b"only one")
    assert e.value.actual == "it has sent 1"


def test_what_was_sent_before_the_fault_was_asked_for_does_not_count(pair: Lab) -> None:
    _send(pair, 4)
    with pytest.raises(Unmet, match="sends at least 2 packets") as raised, pair.faults(DROP_SECOND):
        pass
    assert raised.value.actual == "it has sent 0"


def test_what_the_check_itself_found_is_told_where_too_few_packets_came(pair: Lab) -> None:
    with pytest.raises(Unmet, match="something better"), pair.faults(DROP_SECOND):
        raise Unmet("something better", "this")


def test_a_failure_under_a_fault_that_did_not_happen_is_no_failure(pair: Lab) -> None:
    def judge() -> None:
        with pair.faults(NEARLY_NEVER):
            _send(pair, 1)
            raise Unmet("it goes on", "it does not")

    with pytest.raises(LabError, match="the fault did not happen"):
        judge()
