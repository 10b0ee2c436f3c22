"""``labctl status``: the labs that are up, or one of them as the kernel has it now."""

import argparse
import os
import time

from labctl.cli.arguments import add_json_option, add_lab_argument
from labctl.cli.terminal import ago, paint, print_json, print_table
from labctl.kernel.control import Control, ProgramStatus
from labctl.kernel.readback import Interface, Node, read_node
from labctl.kernel.state import Holder, LabState, all_labs
from labctl.lab import RunningLab, open_lab
from labctl.programs.supervise import describe_end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_argument(parser, "show this lab's nodes; without it, list the labs that are up")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Show the list, or the lab."""
    return _list_labs(args.json) if args.lab is None else _show_lab(open_lab(args.lab), args.json)


def _list_labs(as_json: bool) -> int:
    running: list[tuple[LabState, Holder]] = []
    crashed = []
    for state in all_labs():
        opened = state.open_holder()
        if opened is None:
            crashed.append(state.name)
            continue
        running.append((state, opened[0]))
        os.close(opened[1])
    if as_json:
        labs = [
            {
                "name": state.name,
                "mode": holder.mode,
                "since": holder.since,
                "pid": holder.pid,
                "source": holder.source,
                "is_committed": state.is_committed(),
                "nodes": state.nodes(),
            }
            for state, holder in running
        ]
        print_json({"format": 1, "labs": labs, "crashed": crashed})
        return 0
    if running:
        rows = [
            (
                s.name,
                h.mode,
                f"{ago(time.time() - h.since)} ago",
                str(len(s.nodes())),
                _source(s, h),
            )
            for s, h in running
        ]
        print_table(("LAB", "MODE", "UP SINCE", "NODES", "FILE"), rows)
    else:
        print("no lab is up; `labctl up two_clients` builds one")
    if crashed:
        print(f"left by a crash: {' '.join(crashed)}; `labctl gc` removes it")
    return 0


def _source(state: LabState, holder: Holder) -> str:
    return holder.source if state.is_committed() else "(of a check, or being built)"


def _show_lab(lab: RunningLab, as_json: bool) -> int:
    control = Control(lab.state)
    nodes = {name: read_node(control, netns) for name, netns in lab.state.nodes().items()}
    programs = control.programs()
    if as_json:
        print_json(_lab_json(lab, nodes, programs))
        return 0
    mode, since = lab.holder.mode, ago(time.time() - lab.holder.since)
    print(f"{paint(lab.name, 'bold')}: up for {since}, {mode}, holder {lab.holder.pid}")
    rows = []
    for name, node in nodes.items():
        shown = [interface for interface in node.interfaces if not interface.is_loopback]
        gateways = " ".join(route.via for route in node.routes if route.to == "default")
        netns = lab.state.nodes()[name]
        for number, interface in enumerate(shown):
            first = (name, netns, gateways) if number == 0 else ("", "", "")
            rows.append(
                (
                    *first[:2],
                    interface.name,
                    _link_state(interface),
                    _addresses(interface),
                    first[2],
                )
            )
        if not shown:
            rows.append((name, netns, "–", "", "", ""))
    print_table(("NODE", "NETNS", "INTERFACE", "STATE", "ADDRESSES", "GATEWAY"), rows)
    for program in programs:
        ended = "running" if program.exit_status is None else describe_end(program.exit_status)
        print(f"program {program.name} in {program.node}: {ended}")
    return 0


def _link_state(interface: Interface) -> str:
    if not interface.is_up:
        return "down"
    return "up" if interface.has_carrier else "no carrier"


def _addresses(interface: Interface) -> str:
    own = [address for address in interface.addresses if not address.startswith("fe80:")]
    return " ".join(own) or (f"port of {interface.master}" if interface.master else "–")


def _lab_json(
    lab: RunningLab, nodes: dict[str, Node], programs: list[ProgramStatus]
) -> dict[str, object]:
    from labctl.cli.ps import program_json

    netns = lab.state.nodes()
    return {
        "format": 1,
        "name": lab.name,
        "mode": lab.holder.mode,
        "since": lab.holder.since,
        "pid": lab.holder.pid,
        "source": lab.holder.source,
        "nodes": {
            name: {
                "netns": netns[name],
                "interfaces": [interface._asdict() for interface in node.interfaces],
                "routes": [route._asdict() for route in node.routes],
            }
            for name, node in nodes.items()
        },
        "programs": [program_json(program) for program in programs],
    }
