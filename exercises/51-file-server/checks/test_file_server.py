"""Checks of file-server. The contract is in README.md."""

import random

import file1
import pytest
from file1 import PORT, SERVER, SERVER_FROM_CLIENT2

from labctl.observe.sighting import Sighting
from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Unmet,
    expect,
    expect_equal,
    unmet,
    until,
)

BIG = 4 << 20

FRAMING = "SIZE in decimal and LF, then exactly SIZE bytes; nothing between, nothing behind"


def start(submission: Submission) -> Program:
    return submission.start("server", "file_server", "0.0.0.0", str(PORT))


@pytest.mark.points(1)
def test_files_arrive(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """files of any size arrive as they are, one after the other"""
    program = start(submission)
    client = lab["client1"].connect(SERVER)
    for size in (rng.randrange(2, 5000), 0, 1, rng.randrange(1 << 20, 2 << 20)):
        data = rng.randbytes(size)
        file1.put(program, f"file{size}", data)
        file1.fetch(client, f"file{size}", data, f"a file of {size} bytes: {FRAMING}")
    client.finish()
    rest = client.everything(hint="when the client has finished (recv() returns 0), close")
    expect_equal(rest, b"", "bytes after the last file", FRAMING)


@pytest.mark.needs("test_files_arrive")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("request_line", "answer"),
    [
        ("GET nobody", "error ENOENT"),
        ("GET ../secret", "error EINVAL"),
        ("GET /etc/hostname", "error EINVAL"),
        ("GET ..", "error EINVAL"),
        ("GET .hidden", "error EINVAL"),
        ("GET folder", "error EINVAL"),
        ("GET ", "error EINVAL"),
        ("PUT file", "error EINVAL"),
    ],
)
def test_what_is_not_served_is_refused(
    lab: Lab, submission: Submission, request_line: str, answer: str
) -> None:
    """what is no file of the directory is refused, and the next request is served"""
    program = start(submission)
    file1.put(program, "file", b"good")
    file1.put(program, ".hidden", b"secret")
    file1.path(program, "folder").mkdir()
    client = lab["client1"].connect(SERVER)
    client.send(f"{request_line}\n".encode())
    hint = "look at the name before you open it, and at fstat() of what you have opened"
    got = client.line(expected=f'an answer to "{request_line}"', hint=hint)
    expect_equal(got.decode("latin-1"), answer, f'the answer to "{request_line}"', hint)
    file1.fetch(client, "file", b"good", "a refused request does not end the connection")


@pytest.mark.needs("test_files_arrive")
@pytest.mark.points(1)
def test_requests_may_come_in_pieces_and_together(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """requests may come in pieces, and several at once"""
    program = start(submission)
    one, other = rng.randbytes(3000), rng.randbytes(20_000)
    file1.put(program, "one", one)
    file1.put(program, "other", other)
    client = lab["client1"].connect(SERVER)
    hint = (
        "keep what recv() returns until there is a line; what is behind the line stays for the next"
    )
    client.send(b"GE")
    if not until(lambda: file1.has_been_read(lab, client), WITHIN_S):
        unmet("the server receives what has come of a request", "it does not", hint)
    client.send(b"T one\nGET other\nGET nobody\nGET one\n")
    for name, data in (("one", one), ("other", other)):
        file1.expect_size(client, name, len(data), hint)
        file1.expect_rest(client, data, hint)
    got = client.line(expected="the third answer", hint=hint)
    expect_equal(got, b"error ENOENT", "the third answer", hint)
    file1.expect_size(client, "one", len(one), hint)
    file1.expect_rest(client, one, hint)


@pytest.mark.needs("test_files_arrive")
@pytest.mark.points(1)
def test_a_small_file_is_one_segment(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the size and a small file are one segment, not two"""
    file1.send_nothing_by_the_clock(lab)
    program = start(submission)
    data = rng.randbytes(rng.randrange(100, 900))
    file1.put(program, "small", data)
    client = lab["client1"].connect(SERVER)
    file1.fetch(client, "small", data, FRAMING)
    sent = lab.packets(f"tcp src port {PORT}", sent_by="server")
    sizes = [size for size in map(data_size, sent) if size]
    expect_equal(
        sizes,
        [len(b"%d\n" % len(data)) + len(data)],
        "bytes in the server's segments with data",
        "send() the line with MSG_MORE, or set TCP_CORK around both: the line waits for the file",
    )


def data_size(sighting: Sighting) -> int:
    """Return how many bytes of data a TCP segment over IPv4 has."""
    packet = sighting.frame[14:]
    header = (packet[0] & 0xF) * 4
    return int.from_bytes(packet[2:4], "big") - header - (packet[header + 12] >> 4) * 4


@pytest.mark.needs("test_files_arrive")
@pytest.mark.points(1)
def test_a_slow_reader_gets_every_byte(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a slow reader gets every byte, though sendfile() is interrupted"""
    file1.small_buffers(lab)
    program = start(submission)
    data = rng.randbytes(BIG)
    file1.put(program, "big", data)
    client = file1.stall(lab, "big", BIG)
    hint = (
        "sendfile() may send less than you asked for: go on from where it ended, until all is sent"
    )
    at = 0
    for _ in range(4):
        # A call that waits for room is interrupted by this, with a part of its bytes sent.
        program.freeze()
        program.thaw()
        step = rng.randrange(30_000, 60_000)
        file1.expect_rest(client, data[at : at + step], hint)
        at += step
    file1.expect_rest(client, data[at:], hint)
    file1.fetch(client, "big", data, hint)


@pytest.mark.needs("test_files_arrive")
@pytest.mark.points(1)
def test_another_client_is_served_meanwhile(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """another client is served while a slow one does not read"""
    file1.small_buffers(lab)
    program = start(submission)
    file1.put(program, "big", rng.randbytes(BIG))
    file1.put(program, "small", b"small")
    slow = file1.stall(lab, "big", BIG)
    other = lab["client2"].connect(SERVER_FROM_CLIENT2)
    hint = "give each client a thread or process, or let poll() say which of them has room"
    file1.fetch(other, "small", b"small", hint)
    expect(
        any(s.state == "ESTAB" for s in lab["server"].sockets("tcp", slow.address[1])),
        expected="the slow client is still connected",
        actual="the server has closed its connection",
        hint="a client may be slow: wait until it has room",
    )


@pytest.mark.needs("test_files_arrive")
@pytest.mark.points(1)
def test_clients_that_leave_cost_nothing(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a client that leaves in the middle of a file leaves no descriptor behind"""
    file1.small_buffers(lab)
    program = start(submission)
    file1.put(program, "big", rng.randbytes(BIG))
    file1.put(program, "small", b"small")
    other = lab["client2"].connect(SERVER_FROM_CLIENT2)
    file1.fetch(other, "small", b"small", FRAMING)
    before = file1.open_files(program)
    for leaves_by_reset in (True, False, True, False):
        client = file1.stall(lab, "big", BIG)
        if leaves_by_reset:
            client.reset()
        else:
            client.close()
    hint = (
        "sendfile() fails with EPIPE or ECONNRESET, and SIGPIPE is a signal in C: close the file "
        "and the connection on every way out, and go on with the others"
    )
    if not until(lambda: file1.open_files(program) <= before, WITHIN_S):
        unmet(
            f"{before} open descriptors in /proc/PID/fd, as before the four clients",
            f"{file1.open_files(program)}",
            hint,
        )
    file1.fetch(other, "small", b"small", hint)


@pytest.mark.needs("test_files_arrive")
@pytest.mark.points(1)
def test_a_file_that_becomes_shorter_ends_the_connection(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a file that becomes shorter while it is sent ends that connection, and nothing else"""
    file1.small_buffers(lab)
    program = start(submission)
    file1.put(program, "big", rng.randbytes(BIG))
    file1.put(program, "small", b"small")
    client = file1.stall(lab, "big", BIG)
    with file1.path(program, "big").open("r+b") as file:
        file.truncate(0)
    hint = (
        "sendfile() returns 0 at the end of the file: SIZE bytes were promised and cannot come, so "
        "close the connection"
    )
    received = 0
    while received < BIG:
        try:
            data = client.receive(BIG - received, expected="the end of the connection", hint=hint)
        except Unmet as error:
            if "reset" in error.actual:
                break
            raise
        if not data:
            break
        received += len(data)
    other = lab["client2"].connect(SERVER_FROM_CLIENT2)
    file1.fetch(other, "small", b"small", hint)


@pytest.mark.needs("test_files_arrive")
@pytest.mark.points(2)
def test_nothing_is_copied(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """what is sent are the pages of the file themselves, not copies of them"""
    program = start(submission)
    old, new = rng.randbytes(16_384), rng.randbytes(16_384)
    file1.put(program, "pages", old)
    client = lab["client1"].connect(SERVER)
    client.send(b"GET pages\n")
    size = len(b"16384\n") + len(old)
    if not until(lambda: client.unread >= size, WITHIN_S):
        unmet(f"{size} bytes arrive", f"{client.unread} have", FRAMING)
    # All has arrived, and nobody has read it. Who copied has sent the old bytes for good.
    file1.overwrite(program, "pages", new)
    file1.expect_size(client, "pages", len(old), FRAMING)
    got = client.receive_exactly(len(old), expected="the bytes of the file")
    expect(
        got == new,
        expected="no copy: the socket's queues have the pages of the file, so who writes to the file "
        "changes what was sent and not read yet",
        actual="the bytes that the file had when it was sent: they were copied"
        if got == old
        else "some of the bytes that the file had when it was sent",
        hint="sendfile(); read() and send() copy each byte twice, mmap() and send() once",
    )
