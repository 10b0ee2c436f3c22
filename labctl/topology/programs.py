"""The programs that a lab starts: who runs what, and when it counts as ready."""

import re

from labctl.topology.model import Program
from labctl.topology.problems import Loc, Problems
from labctl.topology.schema import LabShape, NodeProgramShape
from labctl.topology.units import duration_s
from labctl.topology.words import NAME_RULE, is_name, quoted, suggestion

_LISTENING = re.compile(r"listening +(udp|tcp)/([0-9]{1,5})")
_LOG = re.compile(r"log +(\S.*)")
_LONGEST_WAIT_S = 3600.0


def resolve_programs(lab: LabShape, problems: Problems) -> tuple[Program, ...]:
    """Return the programs in the order of the file, those inside nodes included."""
    written: list[tuple[int, Loc, str, str, NodeProgramShape]] = []
    for node, shape in lab.nodes.items():
        for name, program in shape.programs.items():
            loc: Loc = ("nodes", node, "programs", name)
            written.append((problems.line(loc, of_key=True), loc, name, node, program))
    for name, placed in lab.programs.items():
        loc = ("programs", name)
        written.append((problems.line(loc, of_key=True), loc, name, placed.node, placed))
        if placed.node not in lab.nodes:
            problems.add(
                (*loc, "node"),
                f"program {quoted(name)} runs in a node that does not exist, {quoted(placed.node)}",
                suggestion(placed.node, lab.nodes, kind="the nodes are"),
            )
    written.sort(key=lambda one: one[0])
    lines: dict[str, int] = {}
    programs = []
    for line, loc, name, node, program in written:
        if not is_name(name):
            problems.add(loc, f"{quoted(name)} cannot name a program", NAME_RULE, of_key=True)
        elif name in lines:
            problems.add(
                loc,
                f"a second program is called {quoted(name)}; the first is in line {lines[name]}",
                "give it another name",
                of_key=True,
            )
        lines.setdefault(name, line)
        programs.append(_program(name, node, program, loc, problems))
    return tuple(programs)


def _program(
    name: str, node: str, shape: NodeProgramShape, loc: Loc, problems: Problems
) -> Program:
    if not shape.command or not shape.command[0]:
        problems.add(
            (*loc, "command"),
            f"program {quoted(name)} has an empty command",
            "write what to run, and its arguments",
        )
    elif any("\0" in word for word in shape.command):
        problems.add((*loc, "command"), f"the command of program {quoted(name)} has a NUL in it")
    ready = _ready(shape.ready, (*loc, "ready"), problems) if _has(shape, "ready") else ""
    within_s = duration_s(shape.ready_within)
    if within_s is None or not 0 < within_s <= _LONGEST_WAIT_S:
        problems.add(
            (*loc, "ready_within"),
            f"program {quoted(name)} cannot be waited for {quoted(shape.ready_within)}",
            f"write seconds up to {_LONGEST_WAIT_S:.0f}, or a unit as in 500ms, 5s, 1min",
        )
        within_s = 0.0
    elif _has(shape, "ready_within") and not _has(shape, "ready"):
        problems.add(
            (*loc, "ready_within"),
            f"program {quoted(name)} has `ready_within` and nothing to wait for",
            "add `ready`, or leave it out",
        )
    return Program(name, node, tuple(shape.command), ready, within_s)


def _has(shape: NodeProgramShape, key: str) -> bool:
    return key in shape.model_fields_set


def _ready(text: str, loc: Loc, problems: Problems) -> str:
    stripped = text.strip()
    if found := _LISTENING.fullmatch(stripped):
        protocol, port = found.groups()
        if not 1 <= int(port) <= 65535:
            problems.add(loc, f"there is no port {port} to listen on", "ports are from 1 to 65535")
        return f"listening {protocol}/{int(port)}"
    if found := _LOG.fullmatch(stripped):
        return f"log {found[1]}"
    problems.add(
        loc,
        f"{quoted(text)} is not something to wait for",
        "write `listening udp/PORT`, `listening tcp/PORT` or `log TEXT`",
    )
    return ""
