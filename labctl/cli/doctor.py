"""``labctl doctor``: say what this machine can do, and how to mend what it cannot."""

import argparse
import os

from labctl.cli.arguments import add_json_option
from labctl.cli.terminal import paint, print_json
from labctl.kernel.abilities import Examination, Probe, examine
from labctl.kernel.machine import container

_MARKS = {
    "ok": ("ok", "green"),
    "failed": ("FAIL", "red"),
    "missing": ("warn", "yellow"),
    "not tried": ("–", "dim"),
}
_WIDTH = max(len(mark) for mark, _ in _MARKS.values())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Examine the machine; 0 where `labctl up` would work as this user calls it, else 3."""
    found = examine()
    mode = "root" if os.geteuid() == 0 else "rootless"
    if args.json:
        print_json(
            {
                "format": 1,
                "kernel": os.uname().release,
                "container": container(),
                "probes": [probe._asdict() for probe in found.probes],
                "mode": mode,
                "rootless": found.rootless,
                "root": found.root,
                "impairments": found.impairments,
                "impairments_why": found.why,
            }
        )
    else:
        _print(found)
    return 0 if (found.root if mode == "root" else found.rootless) else 3


def _print(found: Examination) -> None:
    inside = container()
    print(f"Linux {os.uname().release}" + (f", in a container ({inside})" if inside else ""))
    for probe in found.probes:
        _print_probe(probe)
    if any("sysctl -w" in probe.fix for probe in found.probes):
        print("a sysctl set with -w lasts until the next boot; a file in /etc/sysctl.d keeps it")
    print()
    print(f"{paint('rootless labs:', 'bold')} {_answer(found.rootless)}")
    print(f"{paint('root labs:', 'bold')} {_root_answer(found)}")
    print(f"{paint('bad links:', 'bold')} {_bad_links(found)}")


def _print_probe(probe: Probe) -> None:
    mark, colour = _MARKS[probe.status]
    line = f"{paint(mark.ljust(_WIDTH), colour)}  {probe.name}"
    print(f"{line}: {probe.detail}" if probe.detail else line)
    if probe.fix and probe.status != "not tried":
        print(f"{' ' * _WIDTH}  {paint('hint:', 'blue')} {probe.fix}")


def _answer(works: bool) -> str:
    return paint("yes", "green") if works else paint("no", "red")


def _root_answer(found: Examination) -> str:
    if os.geteuid() != 0:
        return 'not tried (needs root: sudo "$(command -v labctl)" doctor)'
    return _answer(found.root)


def _bad_links(found: Examination) -> str:
    match found.impairments:
        case "netem":
            return f"made by netem: {found.why}"
        case "wire":
            return f"made by labctl itself (wire): {found.why}"
        case None:
            return f"{paint('none', 'red')}: {found.why}"
