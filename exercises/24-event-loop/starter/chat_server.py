#!/usr/bin/env python3
"""Pass on what each client says to all others. The task is in README.md.

usage: chat_server [-q BYTES] [-t MS] ADDRESS PORT
"""

import getopt
import select
import socket
import sys


def main() -> None:
    try:
        _, (address, port) = getopt.gnu_getopt(sys.argv[1:], "q:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: chat_server [-q BYTES] [-t MS] ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    listener = socket.create_server((address, int(port)), backlog=512)
    clients = {}
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    print("READY", flush=True)
    while True:
        # TODO: the timers. Who says nothing for MS milliseconds gets PING; then it is closed.
        for fd, _ in epoll.poll():
            if fd == listener.fileno():
                connection, _ = listener.accept()
                clients[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
                continue
            # TODO: is this a whole line? And has the client left, perhaps with an error?
            line = clients[fd].recv(512)
            for other in clients.values():
                # TODO: this waits for a client that does not read; and who has said it gets it, too.
                other.sendall(line)


if __name__ == "__main__":
    main()
