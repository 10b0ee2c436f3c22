import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.exercises.running import EXERCISES, reference, run, running, tcp_peer, udp_peer

PROGRAMS = sorted(
    f"{path.parent.parent.name[3:]}/{path.stem}"
    for path in EXERCISES.glob("*/reference/*.py")
    if not path.stem.endswith("_protocol")
)

WITH_ENDPOINT = [
    name
    for name in PROGRAMS
    if re.search(r"\nusage: .*ADDRESS \[?PORT", Path(reference(name)).read_text())
]

SERVERS = {
    "close-handling/random_server": "TCP",
    "flow-control/random_server": "TCP",
    "net-break/kv_store": "TCP",
    "addrbind/addrbind": "UDP",
    "udp-bind/time_server": "UDP",
    "udp-time/time_server": "UDP",
    "udp-echo-trunc/echo_server": "UDP",
    "sntp/sntp_server": "UDP",
    "tftp/tftpd": "UDP",
    "udp-fork/ask_server": "UDP",
    "byte-sink/byte_sink": "TCP",
    "broken-restart/echo_stream": "TCP",
    "daytime/daytime_server": "TCP",
    "kv-concurrent/kv_store": "TCP",
    "kv-event/kv_store": "TCP",
    "kv-fire/kv_store": "TCP",
    "kv-iterative/kv_store": "TCP",
    "kv-resp/kv_store": "TCP",
    "time-wait/sink_server": "TCP",
    "framed/frame_server": "TCP",
    "tcp-threads/bank_server": "TCP",
    "event-loop/chat_server": "TCP",
    "file-server/file_server": "TCP",
    "bench/bench_server": "TCP",
    "threads-vs-events/thread_server": "TCP",
    "threads-vs-events/event_server": "TCP",
}


def test_there_are_programs_to_test() -> None:
    assert len(WITH_ENDPOINT) >= 20
    assert set(SERVERS) < set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_can_be_started_by_its_name(name: str) -> None:
    path = Path(reference(name))
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env python3\n")


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_says_in_one_line_how_it_is_used(name: str) -> None:
    done = run(name, "127.0.0.1", "1", "2", "3")
    assert done.returncode == 2
    assert done.stdout == b""
    [line] = done.stderr.decode().splitlines()
    assert line.startswith(f"usage: {name.split('/')[1]} ")
    # What the teacher documents is what the program prints.
    assert line in Path(reference(name)).read_text().split('"""')[1]


@pytest.mark.parametrize("name", WITH_ENDPOINT)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("localhost", "80"), 'error: address: "localhost" is not an IPv4 address\n'),
        ((b"\xff\xfe", "80"), 'error: address: "\\udcff\\udcfe" is not an IPv4 address\n'),
        (("127.0.0.1", "65536"), 'error: port: "65536" is not a number from '),
        (("127.0.0.1", "9" * 5000), f'error: port: "{"9" * 5000}" is not a number from '),
        (("127.0.0.1", "\u0668\u0660"), "error: port: "),
    ],
    ids=["a name", "not UTF-8", "a port too many", "a huge number", "other digits"],
)
def test_it_refuses_what_is_no_address_or_no_port(
    name: str, arguments: tuple[str | bytes, ...], message: str
) -> None:
    done = run(name, *arguments)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode().startswith(message)
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_reports_a_port_that_is_taken(name: str) -> None:
    kind = socket.SOCK_DGRAM if SERVERS[name] == "UDP" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            # SO_REUSEADDR would let two sockets share a port while neither listens.
            other.listen()
        done = run(name, "127.0.0.1", str(other.getsockname()[1]), stdin=b"b\n")
    assert done.returncode == 1
    assert done.stderr == b"error: bind: EADDRINUSE (Address already in use)\n"


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_reports_an_address_of_another_machine(name: str) -> None:
    done = run(name, "203.0.113.1", "0", stdin=b"b\n")
    assert done.returncode == 1
    assert done.stderr == b"error: bind: EADDRNOTAVAIL (Cannot assign requested address)\n"


@pytest.mark.parametrize("name", SERVERS)
def test_ctrl_c_ends_a_server_quietly(name: str) -> None:
    with running(name, "127.0.0.1", "0") as server:
        server.write(b"b\n")
        server.line()
        server.signal(signal.SIGINT)
        assert server.end() == (130, "")


def test_ctrl_c_ends_a_waiting_client_quietly() -> None:
    with udp_peer() as (peer, address), running("udp-time/time_client", *address) as client:
        peer.recv(100)
        client.signal(signal.SIGINT)
        assert client.end() == (130, "")
    with tcp_peer() as (listener, address), running("simple-nc/simple_nc", *address) as client:
        listener.accept()[0].close()
        client.signal(signal.SIGINT)
        assert client.end() == (130, "")


@pytest.mark.parametrize("name", ["addrconv/addrconv", *SERVERS])
def test_a_reader_that_left_is_reported(name: str) -> None:
    arguments = ["127.0.0.1"] if name == "addrconv/addrconv" else ["127.0.0.1", "0"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = run(name, *arguments, stdin=b"b\n", stdout=write_end)
    finally:
        os.close(write_end)
    assert done.returncode == 1
    assert done.stderr == b"error: write: EPIPE (Broken pipe)\n"


def test_a_closed_output_is_not_mistaken_for_the_socket() -> None:
    prefix = ("sh", "-c", 'exec "$0" "$@" >&-')
    with udp_peer() as (peer, address), ThreadPoolExecutor(1) as pool:
        arguments = (*address, "-t", "60000")  # no second try comes in between
        running_client = pool.submit(run, "udp-time/time_client", *arguments, prefix=prefix)
        request, sender = peer.recvfrom(100)
        peer.sendto(b"TM\1\2" + request[4:] + bytes(8), sender)
        done = running_client.result()
        assert done.returncode == 1
        assert done.stderr == b"error: write: EBADF (Bad file descriptor)\n"
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(100)


@pytest.mark.parametrize(
    "name", ["byte-sink/byte_sink", "simple-nc/simple_nc", "kv-iterative/kv_client"]
)
def test_a_closed_input_is_reported(name: str) -> None:
    done = run(name, "127.0.0.1", "9", prefix=("sh", "-c", 'exec "$0" "$@" <&-'))
    assert done.returncode == 1
    assert done.stderr == b"error: read: EBADF (Bad file descriptor)\n"


@pytest.mark.kernel
def test_a_low_port_needs_a_privilege() -> None:
    # A user namespace in which nobody is root: the capability is lost at exec.
    prefix = ("unshare", "--user", "--net", "--")
    done = run("addrbind/addrbind", "0.0.0.0", "999", prefix=prefix)
    assert done.returncode == 1
    assert done.stderr == b"error: bind: EACCES (Permission denied)\n"
