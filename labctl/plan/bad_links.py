"""Which steps make a lab's links bad from the start, and what cannot be made so."""

from collections.abc import Collection, Iterator

from labctl.errors import LabError, LabErrors
from labctl.plan.backend import Impairments
from labctl.plan.host import HostAbilities
from labctl.plan.steps import ImpairOnWire
from labctl.topology.model import Endpoint, Topology


def check_bad_links(
    topology: Topology,
    wired: Collection[int],
    abilities: HostAbilities,
    impairments: Impairments,
) -> None:
    """Raise ``LabErrors`` where the lab asks for what its links, so built, cannot do.

    ``wired`` are the numbers of the links that are.
    """
    found: list[LabError] = []
    for number, link in enumerate(topology.links):
        for end in (link.left, link.right):
            if not end.impair:
                continue
            where = f"{end.node}:{end.interface}"
            if number in wired:
                found += _unsupported(end, where)
            elif not abilities.netem:
                found.append(
                    LabError(
                        f"a plain link cannot be impaired on this kernel: --impairments {impairments}",
                        where=where,
                        hint="leave --impairments out, or use --impairments wire",
                    )
                )
    if found:
        raise LabErrors(found)


def _unsupported(end: Endpoint, where: str) -> Iterator[LabError]:
    # Imported here because most labs start with good links, and every `labctl up` comes by.
    from labctl.topology.impairment_limits import unsupported_on_wire
    from labctl.topology.impairment_words import parse_impairment

    refused = unsupported_on_wire(parse_impairment(end.impair.split()))
    if refused is not None:
        yield LabError(refused.problem, where=where, hint=refused.hint)


def wire_steps(topology: Topology, wired: Collection[int]) -> Iterator[ImpairOnWire]:
    """Yield a step for each direction of a wired link that is not to be perfect."""
    for number in wired:
        link = topology.links[number]
        for is_from_left in (True, False):
            end, other = (link.left, link.right) if is_from_left else (link.right, link.left)
            if end.impair or end.rules:
                yield ImpairOnWire(
                    number,
                    is_from_left,
                    f"{end.node}:{end.interface}->{other.node}:{other.interface}",
                    end.impair,
                    end.rules,
                    topology.seed,
                )
