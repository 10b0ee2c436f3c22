#!/usr/bin/env python3
"""Ask a time server for the time, and know a refusal from silence.

usage: time_client ADDRESS PORT [-t MS] [-s]

Protocol: TIME/1, see time_protocol.py. Sends one request and waits at most MS milliseconds (500)
for the answer. stdout: ``time seq=N ns=N rtt_us=N tries=1``. Exit 0 answered, 1 error, 3 no answer,
4 refused.

With -s it goes step by step: a request for each line of the input, all from one socket, and for
each a line on stdout, ``time ...``, ``refused`` or ``no answer``. Exit 0 at the end of the input.
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


def options(arguments: list[str]) -> tuple[str, int, float, bool]:
    """Check what the user typed; return address, port, seconds and whether it goes by steps."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "t:s")
    except (getopt.GetoptError, ValueError):
        note("usage: time_client ADDRESS PORT [-t MS] [-s]")
        sys.exit(2)
    chosen = {"-t": "500"} | dict(given)
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    for name, text, largest in (("port", port, 65535), ("-t", chosen["-t"], 60000)):
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
            sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return address, int(port), int(chosen["-t"]) / 1000, "-s" in chosen


def send_request(sock: socket.socket, request: Request) -> None:
    """Send the request."""
    sock.send(pack_request(request))


def wait_for_answer(sock: socket.socket, request: Request, wait_s: float) -> Response | None:
    """Return the answer to our request, or None if none came in time."""
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        sock.settimeout(left_s)
        try:
            datagram = sock.recv(BUFFER_SIZE)
        except TimeoutError:
            # An OSError too, as ConnectionRefusedError is: which of them it is makes the
            # difference between "ask again" and "there is no use in asking".
            return None
        try:
            response = unpack_response(datagram)
        except MalformedError as reason:
            note(f"ignored: {reason}")
            continue
        if (response.seq, response.t_client) == request:
            return response
        note(f"ignored: seq {response.seq} is not an answer to seq {request.seq}")
    return None


def ask(sock: socket.socket, wait_s: float) -> str:
    """Send a request; return the line about its answer, or nothing if there was none."""
    seq = int.from_bytes(os.urandom(4), "big")
    request = Request(seq, time.monotonic_ns())
    send_request(sock, request)
    response = wait_for_answer(sock, request, wait_s)
    if response is None:
        return ""
    rtt_us = (time.monotonic_ns() - request.t_client) // 1000
    return f"time seq={seq} ns={response.t_server} rtt_us={rtt_us} tries=1"


def ask_once(sock: socket.socket, wait_s: float) -> None:
    """Ask, print the answer, and end with the exit code that says how it went."""
    with calling("recv"):
        line = ask(sock, wait_s)
    if not line:
        note("error: no answer")
        sys.exit(NO_ANSWER)
    say(line)


def ask_step_by_step(sock: socket.socket, wait_s: float) -> None:
    """Ask once for each line of the input."""
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    while True:
        with calling("read"):
            line = sys.stdin.buffer.readline()
        if not line:
            return
        with calling("recv"):
            try:
                say(ask(sock, wait_s) or "no answer")
            except ConnectionRefusedError:
                # The socket is as good as before; only this request has failed.
                say("refused")


def main(arguments: list[str]) -> None:
    address, port, wait_s, by_steps = options(arguments)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        # connect() sends nothing on UDP. It fixes the peer, and with it whose refusals are ours:
        # the ICMP message quotes our datagram, and the kernel finds the socket by its two
        # addresses and ports. A socket without a peer is told nothing.
        with calling("connect"):
            sock.connect((address, port))
        if by_steps:
            ask_step_by_step(sock, wait_s)
        else:
            ask_once(sock, wait_s)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
