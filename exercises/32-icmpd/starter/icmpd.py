#!/usr/bin/env python3
"""Tell programs which of their UDP datagrams brought back an ICMP error. The task is in README.md.

usage: icmpd NAME
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) != 2:
        print("usage: icmpd NAME", file=sys.stderr)
        sys.exit(2)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind("\0" + sys.argv[1])
    listener.listen()
    print("READY", flush=True)
    while True:
        # TODO: wait for clients, for their sockets (recvmsg, SCM_RIGHTS) and for errors at once.
        packet = raw.recv(65536)
        print(f"{len(packet)} bytes of ICMP", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
