#!/usr/bin/env python3
"""Answer questions over UDP. The task is in README.md.

usage: ask_server [-u ADDRESS:PORT] [-n CHILDREN] [-t MS] ADDRESS PORT
"""

import getopt
import socket
import sys


def main() -> None:
    try:
        given, (address, port) = getopt.gnu_getopt(sys.argv[1:], "u:n:t:")
    except (getopt.GetoptError, ValueError):
        print(
            "usage: ask_server [-u ADDRESS:PORT] [-n CHILDREN] [-t MS] ADDRESS PORT",
            file=sys.stderr,
        )
        sys.exit(2)
    source_address, _, source_port = dict(given).get("-u", "127.0.0.1:4300").partition(":")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, int(port)))
    print("READY", flush=True)
    while True:
        datagram, client = sock.recvfrom(2048)
        # TODO: all of the following in a child; no more than CHILDREN of them; none of them a
        # zombie; an answer also where the source has none, or does not come to an end.
        with socket.create_connection((source_address, int(source_port))) as source:
            source.sendall(datagram[4:] + b"\n")
            line = source.makefile("rb").readline()
        sock.sendto(datagram[:4] + b"+" + line.rstrip(b"\n"), client)


if __name__ == "__main__":
    main()
