#!/usr/bin/env python3
"""Ask a time server for the time. The task is in README.md.

usage: time_client ADDRESS PORT [-t MS] [-s]
"""

import getopt
import os
import socket
import sys
import time

from time_protocol import BUFFER_SIZE, MalformedError, Request, pack_request, unpack_response

NO_ANSWER = 3
REFUSED = 4


def ask(sock: socket.socket, server: tuple[str, int], wait_s: float) -> str:
    """Send a request; return the line about its answer, or nothing if there was none."""
    request = Request(int.from_bytes(os.urandom(4), "big"), time.monotonic_ns())
    sock.sendto(pack_request(request), server)
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        sock.settimeout(left_s)
        try:
            answer = unpack_response(sock.recvfrom(BUFFER_SIZE)[0])
        except TimeoutError:
            return ""
        except MalformedError:
            continue
        if (answer.seq, answer.t_client) == request:
            rtt_us = (time.monotonic_ns() - request.t_client) // 1000
            return f"time seq={answer.seq} ns={answer.t_server} rtt_us={rtt_us} tries=1"
    return ""


def main() -> None:
    try:
        options, (address, port) = getopt.gnu_getopt(sys.argv[1:], "t:s")
    except (getopt.GetoptError, ValueError):
        print("usage: time_client ADDRESS PORT [-t MS] [-s]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-t": "500"} | dict(options)
    wait_s = int(chosen["-t"]) / 1000
    server = (address, int(port))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # TODO: where nobody has the port, end at once, and with REFUSED.
    # TODO: with -s, ask for each line of the input.
    line = ask(sock, server, wait_s)
    if not line:
        print("error: no answer", file=sys.stderr)
        sys.exit(NO_ANSWER)
    print(line)


if __name__ == "__main__":
    main()
