#!/usr/bin/env python3
"""Pass bytes from a producer to a consumer in a ring. The task is in README.md.

usage: ring SIZE [START]
"""

import sys


def main() -> None:
    if len(sys.argv) not in (2, 3):
        print("usage: ring SIZE [START]", file=sys.stderr)
        sys.exit(2)
    size = int(sys.argv[1])
    memory = bytearray(size)
    head = tail = 0
    for line in sys.stdin:
        match line.split():
            case ["write", octets]:
                data = bytes.fromhex(octets)
                # TODO: what does not fit, what goes over the end, and all other commands.
                memory[head : head + len(data)] = data
                head += len(data)
                print(f"wrote {len(data)}", flush=True)
            case ["read", count]:
                data = memory[tail : min(head, tail + int(count))]
                tail += len(data)
                print(data.hex() or "-", flush=True)
            case _:
                print("error: EINVAL", flush=True)


if __name__ == "__main__":
    main()
