#!/usr/bin/env python3
"""Ask a time server for the time, again and again until an answer comes.

usage: time_client ADDRESS PORT [-t MS] [-n TRIES]

Protocol: TIME/1, see time_protocol.py. Waits MS milliseconds (500) for the answer to the first
try, then twice as long, at most four times as long; gives up after TRIES (5).

stdout: ``time seq=N ns=N rtt_us=N tries=N``, one line. stderr: the same time for people, a note on
each repeated request and each ignored datagram. Exit 0 answered, 1 error, 3 no answer, 4 refused.

What it shows: any single datagram may be lost, so a UDP client needs a timeout, a number that ties
an answer to its request, and a limit on its patience.
"""

import errno
import getopt
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from time_protocol import (
    BUFFER_SIZE,
    MalformedError,
    Request,
    Response,
    pack_request,
    unpack_response,
)

NO_ANSWER = 3
REFUSED = 4


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and an exit code."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        note(f"error: {call}: {name} ({error.strerror})")
        sys.exit(REFUSED if error.errno == errno.ECONNREFUSED else 1)


def say(line: str) -> None:
    """Write a line at once: print() keeps it back when the output is a pipe or a file."""
    # Started with `>&-`, our own socket would be descriptor 1: make the call fail instead.
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def options(arguments: list[str]) -> tuple[str, int, float, int]:
    """Check what the user typed; return address, port, seconds and tries."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "t:n:")
    except (getopt.GetoptError, ValueError):
        note("usage: time_client ADDRESS PORT [-t MS] [-n TRIES]")
        sys.exit(2)
    chosen = {"-t": "500", "-n": "5"} | dict(given)
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    numbers = (("port", port, 65535), ("-t", chosen["-t"], 60000), ("-n", chosen["-n"], 1000))
    for name, text, largest in numbers:
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
            sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return address, int(port), int(chosen["-t"]) / 1000, int(chosen["-n"])


def wait_for_answer(
    sock: socket.socket, seq: int, sent_ns: set[int], wait_s: float
) -> Response | None:
    """Return the answer to our request, or None if none came in time."""
    deadline = time.monotonic() + wait_s
    # Each datagram that is not ours leaves less time for the next: without the deadline a peer
    # that keeps talking nonsense could hold us here for ever.
    while (left_s := deadline - time.monotonic()) > 0:
        sock.settimeout(left_s)
        with calling("recv"):
            try:
                datagram = sock.recv(BUFFER_SIZE)
            except TimeoutError:
                return None
        try:
            response = unpack_response(datagram)
        except MalformedError as reason:
            note(f"ignored: {reason}")
            continue
        if response.seq == seq and response.t_client in sent_ns:
            return response
        note(f"ignored: seq {response.seq} is not an answer to seq {seq}")
    return None


def ask(sock: socket.socket, wait_s: float, tries: int) -> None:
    """Send the request until it is answered, and print the answer."""
    # A random number, so that a late answer to an earlier run is not taken for ours.
    seq = int.from_bytes(os.urandom(4), "big")
    sent_ns: set[int] = set()
    for attempt in range(tries):
        # The same seq: it is the same question. A new t_client: the answer brings it back, and
        # so tells which of the tries it belongs to; otherwise the round trip time is a guess.
        # The monotonic clock: it does not jump when somebody sets the time of day.
        now_ns = time.monotonic_ns()
        sent_ns.add(now_ns)
        with calling("send"):
            sock.send(pack_request(Request(seq, now_ns)))
        response = wait_for_answer(sock, seq, sent_ns, wait_s * 2**attempt)
        if response is not None:
            rtt_us = (time.monotonic_ns() - response.t_client) // 1000
            say(f"time seq={seq} ns={response.t_server} rtt_us={rtt_us} tries={attempt + 1}")
            clock = time.localtime(response.t_server // 10**9)
            note(time.strftime("# %Y-%m-%d %H:%M:%S %Z", clock))
            return
        note(f"no answer to try {attempt + 1} of {tries}")
    note("error: no answer")
    sys.exit(NO_ANSWER)


def main(arguments: list[str]) -> None:
    address, port, wait_s, tries = options(arguments)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        # connect() sends nothing on UDP. It fixes the peer: datagrams from anybody else never
        # reach us, and an ICMP "port unreachable" comes back as ECONNREFUSED. Without it the
        # kernel has no way to tell us, and we would wait in vain.
        with calling("connect"):
            sock.connect((address, port))
        ask(sock, wait_s, tries)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
