"""Checks of tftp. The contract is in README.md."""

import random

import pytest
from rfc1350 import (
    ACK,
    CONTENT,
    DATA,
    ERROR,
    PATIENT_MS,
    PORT,
    RRQ,
    WRQ,
    Client,
    block,
    described,
    expect_file,
    has_closed,
    sent,
    start,
)

from labctl.testing import WITHIN_S, Lab, Submission, expect, expect_equal, unmet, until

SHORT_MS = "100"

PATIENT_TRIES_MS = "1000"
"""For a server that sends again, and gives up only where this machine stands still for seconds."""

LAYOUT = "the table in README.md has every byte of a packet; numbers are 16 bits, big endian"


@pytest.mark.points(1)
def test_a_file_is_read(lab: Lab, submission: Submission) -> None:
    """a file is read, block by block"""
    start(submission)
    for node, more in (("client1", b""), ("client2", b"blksize\0001024\0tsize\0000\0")):
        hint = f"{LAYOUT}; what follows the mode is not for you" if more else LAYOUT
        Client(lab, node).get("1300", CONTENT[:1300], hint, more)


@pytest.mark.needs("test_a_file_is_read")
@pytest.mark.points(1)
def test_a_short_block_ends_the_file(lab: Lab, submission: Submission) -> None:
    """a block of less than 512 bytes ends the file, and an empty one if there is no other"""
    start(submission)
    hint = (
        "512 bytes mean that more comes: a file of 512 bytes has a second block, and that is "
        "empty; a file of 513 bytes has two blocks and no third"
    )
    for size in (513, 512, 1024, 511, 0):
        client = Client(lab)
        client.get(str(size), CONTENT[:size], f"this file has {size} bytes; {hint}")
        last = size // 512 + 1
        expect(
            has_closed(lab, client),
            expected=f"the transfer of {size} bytes is over with ACK {last}, and its socket closed",
            actual="the server still has it open",
            hint=hint,
        )
        expect_equal(sent(lab, client, DATA, last + 1), 0, f"packets DATA {last + 1}", hint)


@pytest.mark.needs("test_a_file_is_read")
@pytest.mark.points(2)
def test_each_transfer_has_a_port_of_its_own(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """each transfer has a port of its own, and none waits for another"""
    start(submission)
    hint = (
        "the well-known port takes requests only: a new socket for each transfer, bound to port 0, "
        "and nothing that waits for one client before it listens to the next"
    )
    clients = [Client(lab, ("client1", "client2")[number % 2]) for number in range(10)]
    for client in clients:
        client.ask(RRQ, "5000")
        client.expect_block(DATA, 1, CONTENT[:512], hint)
    ports = [client.tid_port for client in clients]
    expect(
        PORT not in ports and len(set(ports)) == len(ports),
        expected=f"{len(ports)} transfers from {len(ports)} different ports, none of them {PORT}",
        actual=f"the ports {' '.join(map(str, ports))}",
        hint=hint,
    )
    stalled = clients.pop(rng.randrange(len(clients)))
    for number in range(1, 10):
        for client in rng.sample(clients, len(clients)):
            client.send(ACK, number)
            client.expect_block(DATA, number + 1, CONTENT[:5000][number * 512 :][:512], hint)
    stalled.send(ACK, 1)
    stalled.expect_block(DATA, 2, CONTENT[512:1024], hint)


@pytest.mark.needs("test_a_file_is_read")
@pytest.mark.points(1)
def test_a_stranger_gets_error_5(lab: Lab, submission: Submission) -> None:
    """a packet of a stranger is answered with error 5, and does the transfer no harm"""
    start(submission)
    client = Client(lab)
    client.ask(RRQ, "1300")
    client.expect_block(DATA, 1, CONTENT[:512], LAYOUT)
    hint = (
        "recvfrom() says who has sent it; compare address and port with the client's, and answer a "
        "stranger without ending this transfer. A socket that is connected does not even show you "
        "his packet"
    )
    for node in ("client1", "client2"):
        stranger = Client(lab, node)
        stranger.tid = (stranger.server[0], client.tid_port)
        stranger.send(ACK, 1)
        stranger.expect_error(5, "a packet from another port than the client's", hint)
        stranger.send(ERROR, 0, b"I am no friend\0")
    expect_equal(sent(lab, client, DATA, 2), 0, "packets DATA 2 after a stranger's ACK 1", hint)
    client.send(ACK, 1)
    client.expect_block(DATA, 2, CONTENT[512:1024], hint)


@pytest.mark.needs("test_a_file_is_read")
@pytest.mark.points(1)
@pytest.mark.parametrize("lost", ["DATA", "ACK"])
def test_what_is_lost_is_sent_again(lab: Lab, submission: Submission, lost: str) -> None:
    """what is lost is sent again, and the file arrives whole"""
    start(submission, PATIENT_TRIES_MS)
    client = Client(lab)
    hint = (
        "wait for an answer with a timeout of MS milliseconds; when it is over send the last "
        "packet again, as it was"
    )
    direction, kind = ("server->client1", 3) if lost == "DATA" else ("client1->server", 4)
    fault = {"drop": {"match": f"udp[8:2] == {kind} and udp[10:2] == 2", "packets": [1, 2]}}
    with lab.faults({direction: [fault]}):
        client.ask(RRQ, "1300")
        number = 1
        while number <= 3:
            wanted = block(DATA, number, CONTENT[:1300][number * 512 - 512 : number * 512])
            packet = client.receive(described(wanted), hint)
            if packet[:4] == block(DATA, number - 1):
                # Any client acknowledges again what comes again.
                client.send(ACK, number - 1)
                continue
            if packet != wanted:
                unmet(described(wanted), described(packet), hint)
            client.send(ACK, number)
            number += 1


@pytest.mark.needs("test_a_file_is_read")
@pytest.mark.points(1)
def test_an_old_ack_gets_no_data(lab: Lab, submission: Submission) -> None:
    """an ACK that comes twice does not get DATA twice"""
    start(submission)
    client = Client(lab)
    hint = (
        "an ACK of an earlier block says that a packet was doubled on its way: do nothing. Who "
        "sends DATA for it doubles each packet from there to the end of the file"
    )
    client.ask(RRQ, "5000")
    client.expect_block(DATA, 1, CONTENT[:512], hint)
    for number in range(1, 10):
        content = CONTENT[:5000][number * 512 : number * 512 + 512]
        client.send(ACK, number)
        client.send(ACK, number)
        client.expect_block(DATA, number + 1, content, hint)
    # The server has taken all of the old ones when it takes this last one.
    client.send(ACK, 10)
    has_closed(lab, client)
    copies = {number: sent(lab, client, DATA, number) for number in range(1, 11)}
    expect_equal(copies, dict.fromkeys(copies, 1), "how often each block was sent", hint)


@pytest.mark.needs("test_what_is_lost_is_sent_again")
@pytest.mark.points(1)
@pytest.mark.parametrize("leaves", ["says nothing", "sends ERROR"])
def test_a_client_that_has_gone_is_forgotten(lab: Lab, submission: Submission, leaves: str) -> None:
    """a client that does not answer, or sends ERROR, is forgotten, and half a file with it"""
    is_silent = leaves == "says nothing"
    start(submission, SHORT_MS if is_silent else PATIENT_MS)
    hint = (
        "a packet is sent five times in all; then close the socket, and the transfer is over"
        if is_silent
        else "ERROR ends the transfer at once, and is not answered"
    )
    for operation, name, answer in ((RRQ, "1300", DATA), (WRQ, "half", ACK)):
        client = Client(lab)
        client.ask(operation, name)
        number, content = (1, CONTENT[:512]) if answer == DATA else (0, b"")
        client.expect_block(answer, number, content, LAYOUT)
        if not is_silent:
            client.send(ERROR, 0, b"enough\0")
        expect(
            has_closed(lab, client),
            expected=f"the server closes the transfer's socket when its client {leaves}",
            actual=f"it is still open {WITHIN_S:g} s later",
            hint=hint,
        )
        expect_equal(
            sent(lab, client, answer, number),
            5 if is_silent else 1,
            f"how often {described(block(answer, number))[:6].strip()} was sent",
            hint,
        )

    def is_not_there() -> bool:
        late = Client(lab)
        late.ask(RRQ, "half")
        return late.receive("ERROR 1", hint)[:4] == block(ERROR, 1)

    expect(
        until(is_not_there, WITHIN_S),
        expected="ERROR 1 for a file of which only the beginning came",
        actual="the server sends it",
        hint="remove what is not complete",
    )


@pytest.mark.needs("test_a_short_block_ends_the_file")
@pytest.mark.points(1)
@pytest.mark.parametrize("size", [1536, 1])
def test_a_file_is_written(lab: Lab, submission: Submission, size: int) -> None:
    """a file is written, and a block that comes twice or too early does no harm"""
    program = start(submission)
    client = Client(lab, "client1" if size == 1 else "client2")
    content, last = CONTENT[:size], size // 512 + 1
    hint = (
        "ACK 0 accepts the request; then each DATA is written if it is the next, and acknowledged"
    )
    client.ask(WRQ, "new")
    client.expect_block(ACK, 0, b"", hint)
    for number in (*([1] if last > 1 else []), *range(1, last + 1)):
        # Who took the one that is too early would acknowledge it.
        client.send(DATA, number + 2, b"too early")
        client.send(DATA, number, content[number * 512 - 512 : number * 512])
        client.expect_block(ACK, number, b"", hint)
    hint = f"{hint}; each block once, and the file is there when the last ACK is sent"
    expect_file(program, "new", content, hint)


@pytest.mark.needs("test_a_file_is_written")
@pytest.mark.points(1)
def test_the_last_ack_is_sent_again(lab: Lab, submission: Submission) -> None:
    """the last ACK is sent again if the client has not seen it"""
    program = start(submission)
    client = Client(lab)
    client.put("new", CONTENT[:700], "write as in the check before")
    client.send(DATA, 2, CONTENT[512:700])
    hint = (
        "the last ACK may be lost as well, and then the last DATA comes again: keep the socket for "
        "a while after it, as TCP does in TIME-WAIT"
    )
    client.expect_block(ACK, 2, b"", hint)
    expect_file(program, "new", CONTENT[:700], "and do not write it again")


REFUSED = {
    "a file that is not there": (RRQ, "nobody", "octet", 1),
    "a name with .. in it": (RRQ, "../outside", "octet", 2),
    "a folder whose name only begins like DIR": (RRQ, "../files2/secret", "octet", 2),
    "an absolute name": (RRQ, "/etc/passwd", "octet", 2),
    "a new file outside": (WRQ, "../new", "octet", 2),
    "a mode that there is not": (RRQ, "512", "mail", 4),
    "the operation 9": (9, "512", "octet", 4),
    "a file that is there already": (WRQ, "512", "octet", 6),
}


@pytest.mark.needs("test_a_file_is_read")
@pytest.mark.points(1)
def test_a_request_is_refused(lab: Lab, submission: Submission) -> None:
    """a request that cannot be carried out is refused, with the right number"""
    start(submission)
    for what, (operation, name, mode, code) in REFUSED.items():
        client = Client(lab)
        client.ask(operation, name, mode)
        hint = (
            "README.md says which error has which number; whatever the name, only files below DIR"
        )
        client.expect_error(code, what, hint)
    # It is still there, and the file is what it was.
    client = Client(lab)
    client.ask(RRQ, "512", "OcTet")
    hint = "the mode may be in capitals; the file is as it was, and the server goes on"
    client.expect_block(DATA, 1, CONTENT[:512], hint)
