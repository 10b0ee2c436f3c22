#!/usr/bin/env python3
"""Send K requests at once, and leave without reading an answer.

usage: fire ADDRESS PORT K
"""

import socket
import sys

address, port, count = sys.argv[1:]
with socket.create_connection((address, int(port))) as sock:
    sock.sendall(b"GET fire\n" * int(count))
