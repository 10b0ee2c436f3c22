#!/usr/bin/env python3
"""Tell the time to the client at the other end of descriptor 0. The task is in README.md.

usage: daytime <>SOCKET
"""

import time


def main() -> None:
    # TODO: is descriptor 0 a connection? What ends a line here? What if the client has said something?
    print(time.ctime())


if __name__ == "__main__":
    main()
