"""What a lab's holder keeps of its wired links."""

from typing import NamedTuple

HIDDEN = ""
"""What stands for the name of the hidden namespace in requests to the holder."""


class Follower(NamedTuple):
    """A hidden interface that is up for as long as some node's interface is."""

    netns: str
    interface: str
    hidden_interface: str


class Wire(NamedTuple):
    """The hidden namespace, and who follows whom in it."""

    netns_fd: int
    """Keeps it alive: it has no name."""
    followers: list[Follower]
