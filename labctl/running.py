"""A lab that is up, as whoever works on it sees it."""

from collections.abc import Sequence
from typing import NamedTuple

from labctl.errors import LabError
from labctl.kernel.state import Holder, LabState, find_lab, is_alive


class RunningLab(NamedTuple):
    """A lab that is up."""

    state: LabState
    holder: Holder
    pidfd: int

    @property
    def name(self) -> str:
        return self.state.name

    def netns(self, node: str) -> str:
        """Return a node's namespace name. Raises ``LabError`` where there is no such node."""
        nodes = self.state.nodes()
        if node not in nodes:
            raise unknown_node(self.name, node, list(nodes))
        return nodes[node]

    def is_alive(self) -> bool:
        """Whether the lab is still up."""
        return is_alive(self.pidfd)


def unknown_node(lab: str, node: str, known: Sequence[str]) -> LabError:
    """Return the error for a node that the lab does not have."""
    from difflib import get_close_matches

    near = get_close_matches(node, known, n=1)
    shown = " ".join(known[:20]) + (" …" if len(known) > 20 else "")
    return LabError(
        f'the lab "{lab}" has no node "{node}"',
        hint=f'did you mean "{near[0]}"?' if near else f"its nodes are: {shown}",
    )


def open_lab(name: str | None = None) -> RunningLab:
    """Return a running lab; without a name the only one. Raises ``LabError`` where there is none."""
    return RunningLab(*find_lab(name))
