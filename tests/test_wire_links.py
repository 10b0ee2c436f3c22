"""What whoever uses a wired link may count on, while it is good, while it is bad, and in between."""

import array
import errno
import fcntl
import hashlib
import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labctl.kernel.state import open_process, start_time, wait_ended
from labctl.programs.logs import read_log
from labctl.wait import until
from labctl.wire.client import EMULATOR
from tests.limits import LIMIT_S
from tests.owners import OWNERS, owner_of_kind
from tests.wired_lab import A4, A6, B4, B6, WiredLab, all_until_quiet, wired_lab

pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("root-names")]

PORT = 7000
QUIET_S = 0.3
"""How long nothing comes when nothing comes any more. A late frame makes a test fail, not pass."""

WINDOW = 100
"""Datagrams under way in a stream that flows for as long as none is lost."""

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCGIFINDEX, _SIOCETHTOOL = 0x8933, 0x8946
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_ETH_P_ALL = 3


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WiredLab]:
    with wired_lab(tmp_path) as lab:
        yield lab


@pytest.fixture(params=["good", "delay 1ms"])
def any_lab(lab: WiredLab, request: pytest.FixtureRequest) -> WiredLab:
    """The lab, its link as it was built, and led through the emulator in both directions."""
    if request.param != "good":
        for place in ("a", "b:eth0"):
            lab.impair(place, request.param)
    return lab


def rest_of(receiver: socket.socket) -> list[bytes]:
    """Return every datagram that arrives until none does for a while."""
    return all_until_quiet(receiver, QUIET_S)


def numbers_of(datagrams: list[bytes]) -> list[int]:
    return [int.from_bytes(datagram[:4]) for datagram in datagrams]


def send_numbers(sender: socket.socket, numbers: range) -> None:
    for number in numbers:
        sender.send(number.to_bytes(4))


@pytest.mark.parametrize(("source", "target"), [(A4, B4), (A6, B6)])
def test_addresses_are_resolved_and_datagrams_pass(
    any_lab: WiredLab, source: str, target: str
) -> None:
    sender, receiver = any_lab.udp(source, target)

    sender.send(b"hello")

    assert receiver.recv(100) == b"hello"


def test_broadcasts_pass(any_lab: WiredLab) -> None:
    receiver = any_lab.receiver("b", ("0.0.0.0", PORT), socket.SOCK_DGRAM)
    sender = any_lab.receiver("a", (A4, 0), socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

    sender.sendto(b"everybody", ("10.0.0.255", PORT))

    assert receiver.recv(100) == b"everybody"


def test_ipv4_multicasts_pass(any_lab: WiredLab) -> None:
    group = "239.1.2.3"
    receiver = any_lab.receiver("b", (group, PORT), socket.SOCK_DGRAM)
    joined = socket.inet_aton(group) + socket.inet_aton(B4)
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    sender = any_lab.receiver("a", (A4, 0), socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(A4))

    sender.sendto(b"some", (group, PORT))

    assert receiver.recv(100) == b"some"


def test_ipv6_multicasts_pass(any_lab: WiredLab) -> None:
    receiver = any_lab.receiver("b", ("::", PORT), socket.SOCK_DGRAM)
    sender = any_lab.receiver("a", (A6, 0), socket.SOCK_DGRAM)
    index = struct.unpack("16xi", _ioctl(sender, _SIOCGIFINDEX, "eth0")[:20])[0]

    def is_sent() -> bool:
        # There is a route once a worker of the kernel has taken notice of the carrier.
        try:
            sender.sendto(b"all nodes", ("ff02::1", PORT, 0, index))
        except OSError as error:
            if error.errno != errno.ENETUNREACH:
                raise
            return False
        return True

    assert until(is_sent, LIMIT_S)
    assert receiver.recv(100) == b"all nodes"


def test_frames_of_9000_bytes_pass_whole(any_lab: WiredLab) -> None:
    sender, receiver = any_lab.udp(A4, B4)
    tap = any_lab.open("b", socket.AF_PACKET, socket.SOCK_RAW)
    tap.bind(("eth0", _ETH_P_ALL))
    payload = os.urandom(9000 - 28)

    sender.send(payload)

    assert receiver.recv(10000) == payload
    assert _first(lambda: len(tap.recv(20000)), lambda size: size > 1000) == 9000 + 14


def _first(read: Callable[[], int], wanted: Callable[[int], bool]) -> int:
    """Read until there is what was wanted; the socket's own limit ends the waiting."""
    while not wanted(found := read()):
        pass
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "loss 1%",
        "delay 2ms 1ms",
        "delay 2ms reorder 10%",
        "corrupt 2%",
        "duplicate 10%",
        "delay 1ms loss 1% duplicate 1% corrupt 1%",
    ],
)
def test_tcp_delivers_every_byte_through_a_bad_link(lab: WiredLab, words: str) -> None:
    # A corrupted segment must be noticed by its checksum, which a veth would not even have.
    lab.impair("a", words)
    digests = _transferred(lab, 3_000_000)

    assert digests[0] == digests[1]
    assert lab.counters("a")["seen"] > 100


def _transferred(lab: WiredLab, size: int) -> tuple[bytes, bytes]:
    """Send bytes from ``a`` to ``b``; return what they are at each end, as digests."""
    listener = lab.receiver("b", (B4, PORT), socket.SOCK_STREAM)
    listener.listen()
    payload = os.urandom(size)
    client = lab.open("a", socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(60)

    def send() -> None:
        client.connect((B4, PORT))
        client.sendall(payload)
        client.close()

    thread = threading.Thread(target=send)
    thread.start()
    server, _ = listener.accept()
    server.settimeout(60)
    arrived = hashlib.sha256()
    with server:
        while data := server.recv(1 << 16):
            arrived.update(data)
    thread.join()
    return hashlib.sha256(payload).digest(), arrived.digest()


def test_nothing_corrupted_reaches_a_program(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    send_numbers(sender, range(1))
    receiver.recv(100)  # the neighbour is known now
    lab.impair("a", "corrupt 100%")

    for _ in range(50):
        sender.send(bytes(1000))

    assert until(lambda: lab.counters("a")["corrupted"] >= 50, LIMIT_S)
    # A bit of the Ethernet or IP header may be one that nobody looks at; then the data is whole.
    assert set(rest_of(receiver)) <= {bytes(1000)}


@pytest.mark.slow
def test_a_hundred_changes_lose_and_repeat_nothing(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    stop = threading.Event()
    found: list[int] = []

    def change() -> None:
        changes = 0
        try:
            while changes < 100 or len(found) < 1000:
                lab.impair("a", "delay 1ms")
                lab.clear()
                changes += 2
        finally:
            stop.set()

    thread = threading.Thread(target=change)
    thread.start()
    sent = 0
    poll = select.poll()
    poll.register(receiver, select.POLLIN)
    while not stop.is_set():
        while sent < len(found) + WINDOW:
            sender.send(sent.to_bytes(4))
            sent += 1
        assert poll.poll(LIMIT_S * 1000), f"{sent - len(found)} datagrams of {sent} are missing"
        found += numbers_of([receiver.recv(100)])
    thread.join()
    found += numbers_of([receiver.recv(100) for _ in range(sent - len(found))])
    found += numbers_of(rest_of(receiver))

    assert sorted(found) == list(range(sent))


def test_what_is_under_way_arrives_after_the_link_is_good_again(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    send_numbers(sender, range(1))
    receiver.recv(100)
    lab.impair("a", "delay 500ms")
    began_s = time.monotonic()
    send_numbers(sender, range(1, 200))
    lab.clear()
    sender.send((200).to_bytes(4))
    # Not so on a machine that stood still meanwhile: there they may be first.
    were_under_way = time.monotonic() - began_s < 0.5

    found = numbers_of([receiver.recv(100) for _ in range(200)] + rest_of(receiver))

    assert [number for number in found if number != 200] == list(range(1, 200))
    assert found[0] == 200 or not were_under_way


def test_a_link_made_bad_again_at_once_begins_to_count_anew(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    lab.impair("a", "delay 200ms")
    send_numbers(sender, range(5))
    lab.clear()
    lab.impair("a", "loss 0%")
    sender.send((5).to_bytes(4))

    assert sorted(numbers_of([receiver.recv(100) for _ in range(6)])) == list(range(6))
    assert lab.counters("a")["delayed"] == 0


@pytest.mark.parametrize("impaired", [False, True], ids=["good", "impaired"])
@pytest.mark.parametrize(("near", "far"), [("a", "b"), ("b", "a")])
def test_a_link_that_is_down_at_one_end_is_seen_at_the_other(
    lab: WiredLab, near: str, far: str, impaired: bool
) -> None:
    if impaired:
        lab.impair("a", "delay 1ms")
    near_end, far_end = (lab.open(n, socket.AF_INET, socket.SOCK_DGRAM) for n in (near, far))
    assert until(lambda: bool(_flags(far_end) & _IFF_RUNNING), LIMIT_S)

    _set_flags(near_end, _flags(near_end) & ~_IFF_UP)
    assert until(lambda: not _flags(far_end) & _IFF_RUNNING, LIMIT_S)

    _set_flags(near_end, _flags(near_end) | _IFF_UP)
    assert until(lambda: bool(_flags(far_end) & _IFF_RUNNING), LIMIT_S)
    sender, receiver = lab.udp(A4, B4)
    sender.send(b"again")
    assert receiver.recv(100) == b"again"


def _flags(sock: socket.socket) -> int:
    flags: int = struct.unpack("16xH", _ioctl(sock, _SIOCGIFFLAGS, "eth0")[:18])[0]
    return flags


def _set_flags(sock: socket.socket, flags: int) -> None:
    _ioctl(sock, _SIOCSIFFLAGS, "eth0", struct.pack("H", flags))


def _ioctl(sock: socket.socket, request: int, interface: str, value: bytes = b"") -> bytes:
    return fcntl.ioctl(sock, request, struct.pack("16s24s", interface.encode(), value))


def test_a_dead_emulator_makes_dead_links_until_the_next_change(lab: WiredLab) -> None:
    lab.ping()
    sender, receiver = lab.udp(A4, B4)
    lab.impair("a", "delay 1ms")
    lab.impair("b:eth0", "delay 1ms")
    lab.arm("a:eth0->b:eth0", {"duplicate": {"match": "udp"}})
    send_numbers(sender, range(1))
    assert numbers_of(lab.arrived(receiver)) == [0, 0]

    lab.kill_emulator()
    send_numbers(sender, range(1, 10))

    assert rest_of(receiver) == []
    assert lab.shown("a")["dead"] is True

    lab.impair("c", "loss 1%")
    sender.send((10).to_bytes(4))

    assert numbers_of(lab.arrived(receiver)) == [10, 10]
    assert lab.shown("a")["dead"] is False
    assert lab.shown("a")["words"] == ["delay", "1ms"]
    assert lab.shown("b:eth0")["words"] == ["delay", "1ms"]


def test_a_dead_emulator_does_not_keep_a_link_from_being_cleared(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    lab.impair("a", "loss 100%")
    lab.kill_emulator()

    lab.clear()
    sender.send(b"good again")

    assert receiver.recv(100) == b"good again"


def test_an_emulator_without_frames_does_nothing_at_all(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    lab.impair("a", "delay 1ms")
    lab.impair("b:eth0", "delay 1ms")
    sender.send(b"arp and all that")
    receiver.recv(100)
    pid = lab.emulator_pid()
    pidfd = open_process(pid, start_time(pid))
    assert pidfd is not None

    # IPv6 and ARP have some more to say after the first datagram: wait for a time without.
    def is_idle() -> bool:
        before = _switches(pid)
        assert not wait_ended(pidfd, 0.3)
        return _switches(pid) == before

    assert until(is_idle, LIMIT_S * 2)
    os.close(pidfd)


def _switches(pid: int) -> list[str]:
    """Return how often a process has gone to sleep, and been woken."""
    status = Path(f"/proc/{pid}/status").read_text()
    return [line for line in status.splitlines() if "ctxt_switches" in line]


def test_frames_that_come_too_fast_are_reported(lab: WiredLab) -> None:
    count = 40_000  # more than the largest buffer that a packet socket gets
    sender, receiver = lab.udp(A4, B4)
    lab.impair("a", "loss 0%")
    sender.send(b"arp")
    receiver.recv(100)
    os.kill(pid := lab.emulator_pid(), signal.SIGSTOP)
    for _ in range(count):
        sender.send(bytes(1000))
    os.kill(pid, signal.SIGCONT)

    assert until(lambda: b"overrun" in read_log(lab.lab.state, EMULATOR), LIMIT_S)
    lost = lab.counters("a")["socket_overruns"]
    assert 0 < lost < count
    assert until(lambda: lab.counters("a")["seen"] + lost >= count, LIMIT_S)


def test_offloads_are_off_on_a_bad_link_only(lab: WiredLab) -> None:
    def offloads(node: str, interface: str = "eth0") -> list[int]:
        sock = lab.open(node, socket.AF_INET, socket.SOCK_DGRAM)
        return [_ethtool(sock, interface, command) for command in (0x16, 0x1E, 0x23)]

    lab.impair("a", "delay 1ms")
    lab.impair("b:eth0", "delay 1ms")
    assert offloads("a") == offloads("b") == [0, 0, 0]
    assert offloads("c") == offloads("b", "eth1") == [1, 1, 1]

    lab.clear()
    assert offloads("a") == offloads("b") == [1, 1, 1]


def _ethtool(sock: socket.socket, interface: str, command: int) -> int:
    value = array.array("I", [command, 0])
    address, _ = value.buffer_info()
    fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), address))
    return value[1]


# Rules


def burst(lab: WiredLab, count: int = 8) -> list[int]:
    """Send so many numbered datagrams from ``a`` to ``b``; return those that arrive, in order."""
    lab.ping()
    sender, receiver = lab.udp(A4, B4)
    send_numbers(sender, range(1, count + 1))
    return numbers_of(lab.arrived(receiver))


def test_dropping_the_first_syn_makes_connect_wait_for_another(lab: WiredLab) -> None:
    listener = lab.receiver("b", (B4, PORT), socket.SOCK_STREAM)
    listener.listen()

    client = lab.open("a", socket.AF_INET, socket.SOCK_STREAM)
    lab.arm("a->b", {"drop": {"match": "tcp[tcpflags] & tcp-syn != 0", "packets": [1]}})

    began_s = time.monotonic()
    client.connect((B4, PORT))

    # The first retransmission comes after a second (RFC 6298), give or take a tick of the clock.
    assert time.monotonic() - began_s > 0.9
    assert [(fate.done, fate.nth) for fate in lab.fates()] == [("dropped", 1)]


def test_exactly_the_named_datagrams_of_a_burst_are_missing(lab: WiredLab) -> None:
    lab.arm("a->b", {"drop": {"match": "udp", "packets": [3, 5]}})

    assert burst(lab) == [1, 2, 4, 6, 7, 8]


def test_two_datagrams_change_places(lab: WiredLab) -> None:
    lab.arm("a->b", {"swap": {"match": "udp", "packets": [2]}})

    assert burst(lab) == [1, 3, 2, 4, 5, 6, 7, 8]


def test_a_datagram_is_held_until_an_icmp_passes(lab: WiredLab) -> None:
    lab.arm("a->b", {"hold": {"match": "udp", "packets": [1], "until": {"match": "icmp"}}})
    lab.ping()
    sender, receiver = lab.udp(A4, B4)
    send_numbers(sender, range(1, 4))
    assert numbers_of(lab.arrived(receiver)) == [2, 3]

    lab.ping()

    assert numbers_of(lab.arrived(receiver)) == [1]


def test_every_third_datagram_comes_twice(lab: WiredLab) -> None:
    lab.arm("a->b", {"duplicate": {"match": "udp", "every": 3}})

    assert burst(lab) == [1, 2, 3, 3, 4, 5, 6, 6, 7, 8]


def test_delayed_datagrams_come_later_in_their_own_order(lab: WiredLab) -> None:
    lab.arm("a->b", {"delay": {"match": "udp", "packets": "2-3", "by": "100ms"}})
    lab.ping()
    sender, receiver = lab.udp(A4, B4)
    began_s = time.monotonic()
    send_numbers(sender, range(1, 9))

    came_s: dict[int, float] = {}
    for _ in range(8):
        [number] = numbers_of([receiver.recv(100)])
        came_s[number] = time.monotonic() - began_s

    assert [number for number in came_s if number not in {2, 3}] == [1, 4, 5, 6, 7, 8]
    assert [number for number in came_s if number in {2, 3}] == [2, 3]
    assert came_s[2] >= 0.1


def test_a_corrupted_datagram_is_dropped_by_its_receiver(lab: WiredLab) -> None:
    lab.arm("a->b", {"corrupt": {"match": "udp", "packets": [4]}})
    tap = lab.open("b", socket.AF_PACKET, socket.SOCK_DGRAM)
    tap.bind(("eth0", 0x0800))

    assert burst(lab) == [1, 2, 3, 5, 6, 7, 8]
    assert len([data for data in lab.arrived(tap) if data[9] == socket.IPPROTO_UDP]) == 8


def test_a_rule_leaves_the_other_direction_alone(lab: WiredLab) -> None:
    lab.arm("b->a:eth0", {"drop": {"match": "udp"}})

    assert burst(lab) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_same_seed_gives_the_same_fates_whatever_the_timing(lab: WiredLab) -> None:
    rule = {"drop": {"match": "udp", "p": "40%"}}
    lab.arm("a->b", rule, seed=7)
    at_once = burst(lab, 40)
    lab.arm("a->b", rule, seed=7)
    sender, receiver = lab.udp(A4, B4)
    one_by_one: list[int] = []
    for number in range(1, 41):
        sender.send(number.to_bytes(4))
        if number in at_once:
            one_by_one.append(int.from_bytes(receiver.recv(100)))
    lab.arm("a->b", rule, seed=8)

    assert one_by_one == at_once
    assert 0 < len(at_once) < 40
    assert burst(lab, 40) != at_once


def test_the_fate_log_tells_what_was_done_to_which_packet(lab: WiredLab) -> None:
    before_s = time.time()
    lab.arm("a->b", {"drop": {"match": "udp", "packets": [3, 5]}})
    burst(lab)

    fates = lab.fates()
    assert [(fate.direction, fate.link, fate.rule, fate.nth, fate.done) for fate in fates] == [
        ("a:eth0->b:eth0", "a:eth0-b:eth0", 1, nth, "dropped") for nth in (3, 5)
    ]
    assert {fate.text for fate in fates} == {'drop: {match: "udp", packets: [3, 5]}'}
    assert all(A4 in fate.packet and B4 in fate.packet for fate in fates)
    assert before_s - 1 < fates[0].time_s <= fates[1].time_s < time.time() + 1


def test_a_fate_log_that_cannot_be_written_is_reported_and_the_link_goes_on(lab: WiredLab) -> None:
    # Every write to this device finds the disk full (full(4)).
    Path(lab.lab.state.file("fates.jsonl")).symlink_to("/dev/full")
    lab.arm("a->b", {"drop": {"match": "udp", "packets": [3, 5]}})

    assert burst(lab) == [1, 2, 4, 6, 7, 8]
    assert lab.shown("a")["unlogged"] == 2
    assert b"No space left on device" in read_log(lab.lab.state, EMULATOR)


def test_rules_and_words_work_together(lab: WiredLab) -> None:
    lab.impair("a", "duplicate 100%")
    lab.arm("a->b", {"drop": {"match": "udp", "packets": [2]}})

    assert burst(lab, 3) == [1, 1, 3, 3]
    lab.impair("a", "loss 0%")
    assert burst(lab, 3) == [1, 2, 3]


# Whoever owns the lab


@pytest.mark.slow
@pytest.mark.parametrize("kind", OWNERS)
def test_every_owner_can_make_a_link_bad(kind: str, request: pytest.FixtureRequest) -> None:
    owner = owner_of_kind(kind, request)
    with owner.name() as name:
        up = ("up", "two_clients", "--name", name, "--impairments", "wire", *owner.up_options)
        assert owner.labctl(*up).returncode == 0
        done = owner.labctl("impair", "-l", name, "client2", "duplicate", "100%")
        assert done.returncode == 0, done.stderr

        words = ("ping", "-c", "2", "-W", "5", "server")
        ping = owner.labctl("exec", "-l", name, "client2", "--", *words)

        assert "+1 duplicates" in ping.stdout
        assert owner.labctl("down", name).returncode == 0
        assert not owner.state(name).exists()
