"""What the program is started from, inside of its sandbox: a shell with a terminal of its own.

Not imported: the check hands this text to the interpreter there, with the program and its
arguments behind. It prints ``exit STATUS`` when the program has ended and ``terminal TEXT`` with
what that has printed, then stays until its input ends. It has what a daemon lets go of: a terminal,
a folder, a umask, an open file, and one with the highest number there can be.
"""

import ctypes
import fcntl
import os
import resource
import signal
import sys
import termios
from contextlib import suppress

UMASK = 0o027
OPEN_FILE = 9
MANY_FILES = 4096
PROMPT = b"$ "
PR_SET_CHILD_SUBREAPER = 36

for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    if number < 32:  # those above are real-time signals, and libc keeps two for itself
        signal.signal(number, signal.SIG_DFL)
# Its orphans come to us, with and without a sandbox, as to pid 1 where nobody asks for them.
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
with suppress(PermissionError):  # already the leader of a session
    os.setsid()
keyboard, terminal = os.openpty()
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
os.umask(UMASK)
os.dup2(os.open("/dev/zero", os.O_RDONLY), OPEN_FILE)
limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
os.dup2(OPEN_FILE, (MANY_FILES if limit == resource.RLIM_INFINITY else min(limit, MANY_FILES)) - 1)

child = os.fork()
if not child:
    os.setpgid(0, 0)
    os.dup2(terminal, 0)
    os.dup2(terminal, 1)
    os.execvp(sys.argv[1], sys.argv[1:])
with suppress(OSError):  # the child was faster
    os.setpgid(child, child)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.tcsetpgrp(terminal, child)
_, status = os.waitpid(child, 0)
print("exit", os.waitstatus_to_exitcode(status), flush=True)
# All that was printed is there once what is written behind it is.
os.write(terminal, PROMPT)
printed = b""
while not printed.endswith(PROMPT):
    printed += os.read(keyboard, 4096)
print("terminal", ascii(printed.removesuffix(PROMPT).decode(errors="replace")), flush=True)
# Nobody stays a zombie.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
with suppress(ChildProcessError):
    while os.waitpid(-1, os.WNOHANG)[0]:
        pass
sys.stdin.read()
