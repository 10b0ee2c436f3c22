"""Record what tc(8) sends for netem, as test_netem.py compares it; needs root and strace(1).

usage: record_netem_of_tc.py > netem_of_tc.json

tc sends its message also where the kernel has no netem.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FORMS = (
    "limit 5",
    "delay 100ms",
    "delay 100ms 10ms",
    "delay 100ms 10ms 25%",
    "delay 10us 5us",
    "delay 274s 2s",
    "delay 100ms 10ms distribution normal",
    "delay 100ms 10ms 5% distribution paretonormal",
    "loss 1%",
    "loss 40%",
    "loss 100%",
    "loss 0.0001%",
    "loss random 1% 25%",
    "loss 10% ecn",
    "loss state 1%",
    "loss state 1% 20%",
    "loss state 1% 20% 30% 40% 5%",
    "loss gemodel 1%",
    "loss gemodel 1% 10%",
    "loss gemodel 1% 10% 70%",
    "loss gemodel 1% 10% 70% 0.1%",
    "duplicate 1%",
    "loss 2% 25% duplicate 1% 5%",
    "corrupt 0.1%",
    "corrupt 0.1% 3%",
    "delay 10ms reorder 25%",
    "delay 10ms reorder 25% 50% gap 5",
    "rate 1mbit",
    "rate 1mbit 20",
    "rate 1mbit -14 100 -5",
    "rate 40gbit 20",
    "slot 1ms",
    "slot 800us 1ms packets 32 bytes 64k",
    "slot distribution pareto 800us 100us packets 3",
    "delay 50ms 20ms 10% distribution pareto loss 3% duplicate 2% corrupt 1% reorder 5% rate 5mbit"
    " limit 200",
)

TABLE = (-8192, -100, 0, 8191)
"""Short, and the same for every distribution: it is the message that counts."""

_COMMAND = "ip link add v0 type veth peer name v1 && exec strace -e trace=sendmsg -xx -s 99999 -v "


def options(words: str, tables: Path) -> bytes:
    """Return the attribute TCA_OPTIONS of what tc sends."""
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", f"{_COMMAND} tc qdisc add dev v0 root netem {words}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TC_LIB_DIR": str(tables)},
    )
    found = re.search(r'TCA_OPTIONS}, "([^"]*)"', done.stderr)
    if not found:
        sys.exit(f"{words}: {done.stderr}")
    return bytes.fromhex(found[1].replace("\\x", ""))


def main() -> None:
    """Write the record as JSON: the words, and the options in hexadecimal."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("normal", "pareto", "paretonormal"):
            Path(folder, f"{name}.dist").write_text(" ".join(map(str, TABLE)))
        record = {words: options(words, Path(folder)).hex() for words in FORMS}
    json.dump(record, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
