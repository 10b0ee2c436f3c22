#!/usr/bin/env python3
"""Ask a time server for the time. The task is in README.md.

usage: time_client ADDRESS PORT [-t MS] [-n TRIES]
"""

import getopt
import os
import socket
import sys
import time

from time_protocol import BUFFER_SIZE, Request, pack_request, unpack_response


def ask(sock: socket.socket, wait_s: float, tries: int) -> None:
    """Ask, and print the answer."""
    request = Request(int.from_bytes(os.urandom(4), "big"), time.monotonic_ns())
    sock.send(pack_request(request))
    # TODO: this waits for ever. Wait for wait_s, and then ask again; in all, tries times.
    # TODO: is what comes an answer at all, and to this request?
    answer = unpack_response(sock.recv(BUFFER_SIZE))
    rtt_us = (time.monotonic_ns() - answer.t_client) // 1000
    print(f"time seq={answer.seq} ns={answer.t_server} rtt_us={rtt_us} tries=1")


def main() -> None:
    try:
        options, (address, port) = getopt.gnu_getopt(sys.argv[1:], "t:n:")
    except (getopt.GetoptError, ValueError):
        print("usage: time_client ADDRESS PORT [-t MS] [-n TRIES]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-t": "500", "-n": "5"} | dict(options)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, int(port)))
    ask(sock, int(chosen["-t"]) / 1000, int(chosen["-n"]))


if __name__ == "__main__":
    main()
