"""The list of steps as a shell script that a person could type."""

from collections.abc import Iterable, Iterator

from labctl.plan.steps import (
    AddRoute,
    AssignAddress,
    CreateBridge,
    CreateHiddenNamespace,
    CreateLink,
    CreateNamespace,
    Impair,
    ImpairOnWire,
    PassFrames,
    SetSysctl,
    StartProgram,
    Step,
    WriteHosts,
)

_HEADINGS: dict[type, str] = {
    CreateNamespace: "a network namespace for each node",
    SetSysctl: "kernel settings, before any interface exists",
    CreateHiddenNamespace: "a hidden namespace, in which links can be made bad",
    CreateBridge: "switches",
    CreateLink: "links: both ends of each veth pair at once",
    PassFrames: "while a link is clean, the kernel passes its frames on",
    AssignAddress: "addresses, interfaces up, routes",
    WriteHosts: "names that resolve inside the lab",
    ImpairOnWire: "bad links without netem: labctl leads their frames through a program of its own",
    StartProgram: "programs",
}


def explain(name: str, steps: Iterable[Step]) -> Iterator[str]:
    """Yield the lines of a POSIX shell script that does what the steps do, as root."""
    yield "#!/bin/sh"
    yield f"# What `labctl up {name}` does, as commands. Run as root."
    yield "set -e"
    seen: set[type] = set()
    for step in steps:
        heading = AssignAddress if isinstance(step, AddRoute | Impair) else type(step)
        if heading in _HEADINGS and heading not in seen:
            seen.add(heading)
            yield ""
            yield f"# {_HEADINGS[heading]}"
        yield step.command()
