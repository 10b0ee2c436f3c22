#!/usr/bin/env python3
"""Send and receive files over UDP. The task is in README.md.

usage: tftpd [-r DIR] [-t MS] ADDRESS PORT
"""

import getopt
import os
import socket
import struct
import sys

RRQ, WRQ, DATA, ACK, ERROR = range(1, 6)


def main() -> None:
    try:
        given, (address, port) = getopt.gnu_getopt(sys.argv[1:], "r:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: tftpd [-r DIR] [-t MS] ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    folder = dict(given).get("-r", ".")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, int(port)))
    print("READY", flush=True)
    while True:
        datagram, client = sock.recvfrom(2048)
        name = datagram[2:].split(b"\0")[0]
        # TODO: a socket with a port of its own for each transfer, and several at the same time;
        # send again what is not answered; WRQ; errors; the files outside of the folder.
        with open(os.path.join(folder, os.fsdecode(name)), "rb") as file:
            block = 1
            while True:
                content = file.read(512)
                sock.sendto(struct.pack("!HH", DATA, block) + content, client)
                sock.recvfrom(2048)  # TODO: is this the ACK of this block, and from this client?
                if not content:
                    break
                block += 1


if __name__ == "__main__":
    main()
