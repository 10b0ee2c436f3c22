"""What inetd does for one client, inside of the program's sandbox.

Not imported: the check hands this text to the interpreter there, with a port, the program and its
arguments behind. It listens, accepts one connection, makes it descriptors 0, 1 and 2 of the
program, and prints ``exit STATUS`` when that has ended.
"""

import os
import signal
import socket
import sys

listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("READY", flush=True)
connection, _ = listener.accept()
child = os.fork()
if not child:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python has it ignored, and exec keeps that
    for descriptor in (0, 1, 2):
        os.dup2(connection.fileno(), descriptor)
    os.execvp(sys.argv[2], sys.argv[2:])
connection.close()
_, status = os.waitpid(child, 0)
print("exit", os.waitstatus_to_exitcode(status), flush=True)
