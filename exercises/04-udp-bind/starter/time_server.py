#!/usr/bin/env python3
"""Tell the time over UDP, to whoever asks. The task is in README.md.

usage: time_server ADDRESS PORT
"""

import socket
import sys
import time

from time_protocol import BUFFER_SIZE, MalformedError, Response, pack_response, unpack_request


def main() -> None:
    if len(sys.argv) != 3:
        print("usage: time_server ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    port = int(sys.argv[2])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # TODO: serve the address that was asked for, and say in one line why if that cannot be.
    sock.bind(("0.0.0.0", port))
    print("READY", flush=True)
    while True:
        datagram, sender = sock.recvfrom(BUFFER_SIZE)
        try:
            request = unpack_request(datagram)
        except MalformedError:
            continue
        answer = Response(request.seq, request.t_client, time.time_ns())
        sock.sendto(pack_response(answer), sender)


if __name__ == "__main__":
    main()
