"""Daytime, RFC 867: who connects is told the time, and then the server closes.

The text is what ctime(3) makes, 24 characters, with CR LF instead of LF:

    Sat Nov  1 10:00:00 2026 CR LF

It is the server's local time, and does not say where that is: it is meant for people.
"""

import socket
import time


def tell(connection: socket.socket) -> None:
    """Tell one client the time and finish the connection; nothing here waits for the client."""
    # 26 bytes always fit into the send buffer of a new connection, so this cannot wait.
    connection.sendall(f"{time.ctime()}\r\n".encode())
