#!/usr/bin/env python3
"""Build packets and take them apart without moving a byte. The task is in README.md.

usage: netbuf COUNT SIZE
"""

import sys


def main() -> None:
    if len(sys.argv) != 3:
        print("usage: netbuf COUNT SIZE", file=sys.stderr)
        sys.exit(2)
    size = int(sys.argv[2])
    memory = bytearray(size)  # of one buffer; the pool has COUNT of them
    data = tail = 0  # where the data begins, and where it ends
    for line in sys.stdin:
        match line.split():
            case ["alloc"]:
                data = tail = 0
            case ["put", "0", octets]:
                count = len(bytes.fromhex(octets))
                memory[tail : tail + count] = bytes.fromhex(octets)
                tail += count
            # TODO: reserve, push, pull, trim, show, free. What if there is no room?
        print(f"0 headroom={data} len={tail - data} tailroom={size - tail}", flush=True)


if __name__ == "__main__":
    main()
