#!/usr/bin/env python3
"""Send a burst of requests to a time server, and report what became of each. The task is in README.md.

usage: time_burst_client ADDRESS PORT [-n N] [-t MS]
"""

import getopt
import socket
import struct
import sys
import time

REQUEST = struct.Struct("!2sBBIQ")  # magic, version, type, seq, t_client
ANSWER = struct.Struct("!2sBBIQQ")  # the same, and t_server


def burst(sock: socket.socket, requests: int, wait_s: float) -> None:
    """Ask so many times, and print what comes."""
    received = 0
    sock.settimeout(wait_s)
    # TODO: this waits for an answer before it asks again. Send all, then listen.
    for number in range(requests):
        sock.send(REQUEST.pack(b"TM", 1, 1, number, time.monotonic_ns()))
        try:
            answer = sock.recv(2048)
        except TimeoutError:
            continue
        # TODO: is it an answer, and to which of the requests?
        _, _, _, seq, t_client, t_server = ANSWER.unpack(answer)
        received += 1
        print(f"time seq={seq} ns={t_server} rtt_us={(time.monotonic_ns() - t_client) // 1000}")
    # TODO: count what came twice, and what was overtaken.
    print(f"sent={requests} received={received} lost={requests - received} dup=0 reordered=0")


def main() -> None:
    try:
        options, (address, port) = getopt.gnu_getopt(sys.argv[1:], "n:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: time_burst_client ADDRESS PORT [-n N] [-t MS]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-n": "10", "-t": "3000"} | dict(options)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, int(port)))
    burst(sock, int(chosen["-n"]), int(chosen["-t"]) / 1000)


if __name__ == "__main__":
    main()
