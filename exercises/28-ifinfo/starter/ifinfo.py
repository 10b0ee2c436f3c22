#!/usr/bin/env python3
"""Show the network interfaces of this machine. The task is in README.md.

usage: ifinfo [INTERFACE]
"""

import fcntl
import socket
import struct
import sys

SIOCGIFADDR = 0x8915


def main() -> None:
    if len(sys.argv) > 2:
        print("usage: ifinfo [INTERFACE]", file=sys.stderr)
        sys.exit(2)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for index, name in socket.if_nameindex():
        # TODO: MTU, MAC address and flags; every address with its prefix length, not only one.
        request = struct.pack("16s24x", name.encode())
        try:
            answer = fcntl.ioctl(sock, SIOCGIFADDR, request)
        except OSError:
            continue
        print(f"{name} index={index}")
        print(f"{name} inet={socket.inet_ntoa(answer[20:24])}")


if __name__ == "__main__":
    main()
