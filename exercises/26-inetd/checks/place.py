"""Puts files where the program runs, in its sandbox, and becomes the program.

Not imported: the check hands this text to the interpreter there, with the files and the program
behind. No signal is ignored then, whoever started the sandbox.
"""

import json
import os
import signal
import sys

for name, text in json.loads(sys.argv[1]).items():
    with open(name, "w") as file:
        file.write(text)
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    if number < 32:  # those above are real-time signals, and libc keeps two for itself
        signal.signal(number, signal.SIG_DFL)
os.execvp(sys.argv[2], sys.argv[2:])
