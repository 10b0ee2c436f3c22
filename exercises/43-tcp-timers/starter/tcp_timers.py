#!/usr/bin/env python3
"""Run the timers of one TCP connection. The task is in README.md.

usage: tcp_timers [MIN_MS]
"""

import sys


def main() -> None:
    if len(sys.argv) > 2:
        print("usage: tcp_timers [MIN_MS]", file=sys.stderr)
        sys.exit(2)
    now_ms = 0
    rto_ms = 1000
    sent: dict[int, int] = {}  # the segments that are not acknowledged, and when they were sent
    number = 0
    for line in sys.stdin:
        match line.split():
            case ["connect" | "send"]:
                sent[number] = now_ms
                number += 1
            case ["ack", acknowledged]:
                # TODO: how long did it take, and what is the timeout then?
                sent = {n: at for n, at in sent.items() if n > int(acknowledged)}
            case ["advance", ms]:
                # TODO: which timers expire meanwhile, and in which order?
                now_ms += int(ms)
                print("-", flush=True)
                continue
            case _:
                # TODO: the other commands.
                print("error: EINVAL", flush=True)
                continue
        timer = min(sent.values()) + rto_ms if sent else "-"
        print(f"srtt=- rttvar=- rto={rto_ms} timer={timer}", flush=True)


if __name__ == "__main__":
    main()
