"""Draws who sent what to whom: sightings become a ladder, for people who look for a mistake; pure."""

from collections.abc import Iterable, Sequence

from labctl.observe.ladder_draw import draw
from labctl.observe.ladder_fates import FateEntry, find_fates
from labctl.observe.ladder_hops import Place, find_hops
from labctl.observe.ladder_journeys import find_journeys
from labctl.observe.ladder_rows import fold
from labctl.observe.ladder_story import Story
from labctl.observe.ladder_targets import Targets
from labctl.observe.sighting import Sighting


def ladder(
    sightings: Iterable[Sighting],
    nodes: Sequence[str],
    fates: Iterable[FateEntry] = (),
    *,
    links: Iterable[tuple[Place, Place]] = (),
    missed: int = 0,
) -> str:
    """Return a diagram of at most about 40 lines and 100 columns; empty where nothing was sent.

    ``nodes`` is the order of the columns; nodes that took no part have none. ``fates`` say which
    rule did what. ``links`` has the two ends of each link: where it is given nothing has to be
    guessed. ``missed`` is how many frames the capture does not have.
    """
    seen = sorted(sightings, key=lambda sighting: sighting.time_ns)
    ends = {one: other for pair in links for one, other in (pair, pair[::-1])}
    captured = {sighting.node for sighting in seen}
    # Where a node is left out of the capture, a switch say, its link ends at the next one.
    hops = find_hops(seen, {one: other for one, other in ends.items() if other[0] in captured})
    journeys = find_journeys(seen, hops)
    log = list(fates)
    targets = Targets(seen, hops, log, ends)
    story = Story(seen, hops, journeys, find_fates(seen, hops, log), targets)
    rows, columns, others = story.tell(nodes)
    if not rows:
        return ""
    lines = draw(fold(rows), columns)
    lines[:0] = story.legend()
    if others:
        lines.append(f"  (not shown: what {' '.join(others)} sent and received)")
    if missed:
        frames = "1 frame" if missed == 1 else f"{missed} frames"
        lines.append(f"  (the capture lacks {frames}: what is shown as lost may have arrived)")
    return "\n".join(lines) + "\n"
