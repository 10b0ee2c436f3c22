"""The ``impair`` of a link: what becomes of the packets that each of its ends sends."""

from collections.abc import Sequence

from labctl.errors import LabError
from labctl.topology.impairment_words import impairment_words, parse_impairment
from labctl.topology.problems import Loc, Problems
from labctl.topology.words import listed, nearest, quoted

Ends = Sequence[tuple[str, str]]
"""Node and interface of the left end, and of the right one."""


def read_impair(
    written: str | dict[str, str], loc: Loc, ends: Ends, problems: Problems
) -> tuple[str, str]:
    """Return the words for each end, as ``labctl impair --show`` has them; empty for none."""
    if isinstance(written, str):
        words = _words(written, loc, problems)
        return words, words
    found = ["", ""]
    keys: dict[int, str] = {}
    for key, text in written.items():
        words = _words(text, (*loc, key), problems)
        side = _side(key, (*loc, key), ends, problems)
        if side is None:
            continue
        if side in keys:
            problems.add(
                (*loc, key),
                f"{quoted(key)} is the same end of the link as {quoted(keys[side])}",
                "join the two",
                of_key=True,
            )
        keys[side] = key
        found[side] = words
    return found[0], found[1]


def _words(text: str, loc: Loc, problems: Problems) -> str:
    try:
        return " ".join(impairment_words(parse_impairment(text.split())))
    except LabError as error:
        problems.add(loc, error.problem, error.hint)
        return ""


def _side(key: str, loc: Loc, ends: Ends, problems: Problems) -> int | None:
    names = [f"{node}:{interface}" for node, interface in ends]
    for side, (node, _) in enumerate(ends):
        if key in (node, names[side]):
            return side
    known = [node for node, _ in ends]
    close = nearest(key, [*known, *names])
    problems.add(
        loc,
        f"the link has no end {quoted(key)}",
        f"did you mean {quoted(close)}?" if close else f"its ends are {listed(known)}",
        of_key=True,
    )
    return None
