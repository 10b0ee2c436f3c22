#!/usr/bin/env python3
"""Convert an IPv4 address from text to its four bytes, and back. The task is in README.md.

usage: addrconv TEXT
"""

import sys


def main() -> None:
    if len(sys.argv) != 2:
        print("usage: addrconv TEXT", file=sys.stderr)
        sys.exit(2)
    text = sys.argv[1]
    # TODO: convert the text to four bytes, and these back to text. Refuse what is no address.
    packed = b"????"
    back = "?"
    print(f"{text} -> {packed.hex()} -> {back}")


if __name__ == "__main__":
    main()
