#!/usr/bin/env python3
"""Ask all hosts of a network for the time, and list those that answer. The task is in README.md.

usage: time_poll ADDRESS PORT [-s SOURCE] [-t MS]
"""

import getopt
import os
import socket
import struct
import sys
import time

REQUEST = struct.Struct("!2sBBIQ")  # magic, version, type, seq, t_client
RESPONSE = struct.Struct("!2sBBIQQ")  # the same, and t_server


def main() -> None:
    try:
        given, (address, port) = getopt.gnu_getopt(sys.argv[1:], "s:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: time_poll ADDRESS PORT [-s SOURCE] [-t MS]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-s": "0.0.0.0", "-t": "1000"} | dict(given)
    wait_s = int(chosen["-t"]) / 1000

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    seq = int.from_bytes(os.urandom(4), "big")
    sent_ns = time.monotonic_ns()
    # TODO: this works with one host's address. What does the kernel say to 10.0.0.255, and why?
    try:
        sock.sendto(REQUEST.pack(b"TM", 1, 1, seq, sent_ns), (address, int(port)))
    except OSError as error:
        sys.exit(f"error: sendto: {error}")

    # TODO: one answer was enough there. Now it is one for each host, until wait_s is over.
    sock.settimeout(wait_s)
    try:
        datagram, (host, _) = sock.recvfrom(2048)
    except TimeoutError:
        print("hosts=0")
        sys.exit(3)
    t_server = RESPONSE.unpack(datagram)[5]
    print(f"time from={host} ns={t_server} rtt_us={(time.monotonic_ns() - sent_ns) // 1000}")
    print("hosts=1")


if __name__ == "__main__":
    main()
