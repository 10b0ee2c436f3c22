#!/usr/bin/env python3
"""Join multicast groups, leave them, and print what is sent to them. The task is in README.md.

usage: group_listener ADDRESS PORT
"""

import os
import select
import socket
import sys


def obey(sock: socket.socket, interface: str, line: str) -> str:
    match line.split():
        case ["join", group]:
            # TODO: have this host join the group by our interface; what if that fails?
            return f"joined {group}"
        case ["leave", group]:
            # TODO: … and leave it.
            return f"left {group}"
        case _:
            return "error: command: join GROUP or leave GROUP"


def main() -> None:
    if len(sys.argv) != 3:
        print("usage: group_listener ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    interface, port = sys.argv[1], int(sys.argv[2])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", port))
    print("READY", flush=True)
    pending = b""
    both = select.poll()
    both.register(0, select.POLLIN)
    both.register(sock, select.POLLIN)
    while True:
        ready = [fd for fd, _ in both.poll()]
        if sock.fileno() in ready:
            text, (address, sender_port) = sock.recvfrom(2048)
            # TODO: to which group was it sent, and with what TTL? Is that a group of ours?
            print(f"from={address}:{sender_port} to=? ttl=? {repr(text)[2:-1]}", flush=True)
        if 0 in ready:
            chunk = os.read(0, 4096)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                print(obey(sock, interface, line.decode()), flush=True)


if __name__ == "__main__":
    main()
