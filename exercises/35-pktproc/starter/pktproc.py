#!/usr/bin/env python3
"""Say of each frame in a capture what it is, in a line. The task is in README.md.

usage: pktproc < FILE
"""

import struct
import sys


def main() -> None:
    if len(sys.argv) != 1:
        print("usage: pktproc < FILE", file=sys.stderr)
        sys.exit(2)
    file = sys.stdin.buffer
    file.read(24)
    number = 0
    while len(head := file.read(16)) == 16:
        _, _, size, length = struct.unpack("<IIII", head)
        frame = file.read(size)
        number += 1
        # TODO: take it apart, header by header.
        print(f"{number} len={length} type=0x{frame[12:14].hex()}", flush=True)


if __name__ == "__main__":
    main()
