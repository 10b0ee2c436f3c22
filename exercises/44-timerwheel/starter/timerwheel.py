#!/usr/bin/env python3
"""Keep many timers, cheaply. The task is in README.md.

usage: timerwheel TICK_MS
"""

import sys


def main() -> None:
    if len(sys.argv) != 2:
        print("usage: timerwheel TICK_MS", file=sys.stderr)
        sys.exit(2)
    tick_ms = int(sys.argv[1])
    slots: list[dict[str, int]] = [{} for _ in range(256)]
    tick = 0
    for line in sys.stdin:
        match line.split():
            case ["add", name, timeout_ms]:
                # TODO: what is more than 256 ticks away? And what is not a whole number of ticks?
                expires = tick + int(timeout_ms) // tick_ms
                slots[expires % 256][name] = expires
                print(f"expires={expires * tick_ms} level=0 slot={expires % 256}", flush=True)
            case ["advance", ms]:
                expired = []
                for _ in range(int(ms) // tick_ms):
                    tick += 1
                    expired += [f"{name}@{tick * tick_ms}" for name in slots[tick % 256]]
                    slots[tick % 256].clear()
                print(*expired or ["-"], flush=True)
            case _:
                # TODO: cancel, where, stats.
                print("error: EINVAL", flush=True)


if __name__ == "__main__":
    main()
