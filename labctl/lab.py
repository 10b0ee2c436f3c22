"""A lab's life: plan, build, make links bad, start programs, commit; look at it; take it down."""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from labctl.errors import LabError, machine_error
from labctl.kernel.ending import end_holder
from labctl.kernel.launch import Launched, commit, launch
from labctl.kernel.netem_present import has_netem
from labctl.kernel.state import LabState, wait_ended
from labctl.plan.backend import Impairments, depends_on_netem, wired_links
from labctl.plan.build import plan_lab
from labctl.plan.host import HostAbilities
from labctl.plan.steps import BringUpSilent, ImpairOnWire, KernelStep, StartProgram, Step
from labctl.running import RunningLab as RunningLab
from labctl.running import open_lab as open_lab
from labctl.running import unknown_node as unknown_node
from labctl.teardown import END_WITHIN_S, LOCK_WITHIN_S, busy, clear
from labctl.topology.model import Topology
from labctl.topology.serial import dump_topology
from labctl.wait import until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from labctl.topology.impairment import Impairment
    from labctl.topology.rules import Rule

_OUT_OF = {
    errno.EAGAIN: "the limit of processes is reached (ulimit -u)",
    errno.EDQUOT: "your quota there is used up: make room",
    errno.EMFILE: "the limit of open files is reached (ulimit -n)",
    errno.ENFILE: "the machine has no open files left: end some programs",
    errno.ENOMEM: "the machine is out of memory: end some programs",
    errno.ENOSPC: "make room there: `df` and `df -i` show what is full",
    errno.EROFS: "it can only be read: set XDG_RUNTIME_DIR to a folder of your own",
}
"""What a machine can be out of, by errno, and what to do."""


class Progress(NamedTuple):
    """What ``up`` tells while it works; each is called with a count or a name."""

    steps: Callable[[int, int], None]
    """Steps done, of how many."""
    program: Callable[[str, str], None]
    """Name of the program that is being started, and the condition it waits for."""


SILENT = Progress(lambda done, of: None, lambda name, ready: None)


def up(
    topology: Topology,
    source: str,
    *,
    is_rootless: bool,
    impairments: Impairments = "auto",
    progress: Progress = SILENT,
) -> dict[str, float]:
    """Build a lab and leave it to its holder. Returns timings in milliseconds, by phase.

    Raises ``LabError`` or ``LabErrors`` where a lab of that name is up, a namespace name is taken,
    the machine refuses a step, a link cannot be made as bad as the lab file says, or a program does
    not get ready; nothing is left of the lab then.
    """
    state = LabState(topology.name)
    try:
        return _up(
            state,
            topology,
            source,
            is_rootless=is_rootless,
            impairments=impairments,
            progress=progress,
        )
    except OSError as error:
        if error.errno not in _OUT_OF:
            raise
        raise machine_error(
            f"cannot build the lab in {state.path}: {error.strerror}", hint=_OUT_OF[error.errno]
        ) from error


class _Built(NamedTuple):
    """A lab that is built, with its programs ready, and ends with this process until it is committed."""

    lock: int
    launched: Launched
    timings: dict[str, float]


def _up(
    state: LabState,
    topology: Topology,
    source: str,
    *,
    is_rootless: bool,
    impairments: Impairments,
    progress: Progress,
) -> dict[str, float]:
    built = _build(
        state,
        topology,
        source,
        is_rootless=is_rootless,
        impairments=impairments,
        progress=progress,
    )
    try:
        state.write("committed", "")
        commit(built.launched)
    except BaseException:
        _undo(state, built)
        raise
    os.close(built.lock)
    return built.timings


def _undo(state: LabState, built: _Built) -> None:
    try:
        _abandon(state, built.launched)
    finally:
        clear(state, built.lock)


def _build(
    state: LabState,
    topology: Topology,
    source: str,
    *,
    is_rootless: bool,
    impairments: Impairments,
    progress: Progress,
) -> _Built:
    started = time.perf_counter()
    abilities = host_abilities(topology, impairments)
    steps = plan_lab(topology, abilities, impairments)
    planned = time.perf_counter()
    kernel_steps: list[KernelStep] = []
    bad_links: list[ImpairOnWire] = []
    held_back: list[BringUpSilent] = []
    programs: list[StartProgram] = []
    for step in steps:
        if isinstance(step, StartProgram):
            programs.append(step)
        elif isinstance(step, ImpairOnWire):
            bad_links.append(step)
        elif isinstance(step, BringUpSilent) and bad_links:
            held_back.append(step)
        else:
            kernel_steps.append(step)
    _check_filters(bad_links)
    lock = _acquire_for_up(state)
    try:
        state.write("topology.json", dump_topology(topology))
        wired = wired_links(topology, abilities, impairments)
        state.write("wired", " ".join(str(link.number) for link in wired))
        state.write("nodes", "".join(f"{n.name}\t{n.netns}\n" for n in topology.nodes))
        launched = launch(
            state,
            lock,
            kernel_steps,
            source,
            is_rootless=is_rootless,
            progress=lambda done: progress.steps(done, len(kernel_steps)),
        )
        try:
            built = time.perf_counter()
            # Before any program has sent a packet.
            _make_links_bad(state, bad_links, held_back, topology)
            _start_programs(state, programs, progress)
        except BaseException:
            _abandon(state, launched)
            raise
    except BaseException:
        clear(state, lock)
        raise
    timings = {
        "plan_ms": (planned - started) * 1000,
        "build_ms": launched.build_ms,
        "launch_ms": (built - planned) * 1000,
        "programs_ms": (time.perf_counter() - built) * 1000,
    }
    return _Built(lock, launched, timings)


def random_seed() -> int:
    """Return a seed for rules whose choices need not repeat."""
    return int.from_bytes(os.urandom(4), "big")


def host_abilities(topology: Topology, impairments: Impairments) -> HostAbilities:
    """Look at what decides how this lab is built.

    ``netem`` is told only where the plan depends on it: to find out may take a child process.
    """
    return HostAbilities(
        ipv6=os.path.isdir("/proc/sys/net/ipv6"),
        netem=depends_on_netem(topology, impairments) and has_netem(),
    )


def _acquire_for_up(state: LabState) -> int:
    def attempt() -> tuple[int | None] | None:
        lock = state.acquire(create=True)
        # Whoever locks a lab without a holder will be done soon: a `gc`, the end of a `down`.
        return None if lock is None and not state.is_up() else (lock,)

    outcome = until(attempt, LOCK_WITHIN_S)
    if outcome is None:
        raise busy(state.name)
    (lock,) = outcome
    if lock is None:
        raise LabError(
            f'the lab "{state.name}" is up already',
            hint=f"take it down first (labctl down {state.name}), or build a second one with "
            "--name OTHER",
        )
    if os.listdir(state.path) != ["lock"]:
        # Nobody holds it, so whatever lies there was left by a crash.
        clear(state, lock)
        return _acquire_for_up(state)
    return lock


def _abandon(state: LabState, launched: Launched) -> None:
    """End a lab that was built but not committed, and wait until it has gone."""
    opened = state.open_holder()
    with suppress(OSError):
        os.close(launched.commit_fd)
    if opened is not None:
        _, pidfd = opened
        end_holder(pidfd)
        wait_ended(pidfd, END_WITHIN_S)
        os.close(pidfd)


def _check_filters(bad_links: Sequence[ImpairOnWire]) -> None:
    """Raise ``LabErrors`` for the filters of rules that do not parse; nothing is built by then."""
    if any(step.rules for step in bad_links):
        # Imported only for labs that have rules: it takes the library of tcpdump.
        from labctl.wire.match import compile_filters

        compile_filters(rule for step in bad_links for rule in step.rules)


def _make_links_bad(
    state: LabState,
    bad_links: Sequence[ImpairOnWire],
    held_back: Sequence[BringUpSilent],
    topology: Topology,
) -> None:
    """Make links bad, and then set the hidden interfaces up that have waited for it."""
    if not bad_links:
        return
    # Imported only for labs that start with bad links.
    from labctl.impairing import Impairer
    from labctl.kernel.control import Control
    from labctl.kernel.detour import HiddenLinks, await_active
    from labctl.topology.directions import Direction
    from labctl.topology.impairment_words import parse_impairment

    opened = state.open_holder()
    if opened is None:
        raise machine_error(
            "the lab's holder ended while its links were made bad", hint="try again"
        )
    lab = RunningLab(state, *opened)
    try:
        impaired: dict[Direction, Impairment] = {}
        placed: dict[Direction, Sequence[Rule]] = {}
        ends: dict[str, set[str]] = {}
        for step in bad_links:
            direction = Direction(step.link, topology.links[step.link], step.is_from_left)
            if step.words:
                impaired[direction] = parse_impairment(step.words.split())
            if step.rules:
                placed[direction] = step.rules
            for end in direction.link[:2]:
                ends.setdefault(end.node, set()).add(end.interface)
        seed = topology.seed
        Impairer(lab).impair_wired(impaired, placed, random_seed() if seed is None else seed)
        control, netns = Control(state), state.nodes()
        with HiddenLinks(control) as hidden:
            hidden.bring_up(step.interface for step in held_back)
        for node, interfaces in ends.items():
            await_active(control, netns[node], interfaces)
    finally:
        os.close(lab.pidfd)


def _start_programs(state: LabState, programs: Sequence[StartProgram], progress: Progress) -> None:
    if not programs:
        return
    # Imported only for labs that have programs: it takes as long as building two_clients.
    from labctl.programs.supervise import start_program

    for step in programs:
        progress.program(step.name, step.ready)
        start_program(
            state,
            step.name,
            step.node,
            step.argv,
            ready=step.ready,
            ready_within_s=step.ready_within_s,
        )


@contextmanager
def running_lab(
    topology: Topology,
    *,
    is_rootless: bool,
    impairments: Impairments = "auto",
    source: str = "",
) -> Iterator[RunningLab]:
    """Have a lab up for the length of a ``with`` block, and no longer than this process lives.

    The lab is never committed, so its holder ends with this process, however that ends. Whoever
    will arm rules (``labctl.faults``) asks for ``impairments="wire"``. Raises as ``up`` does.
    """
    state = LabState(topology.name)
    built = _build(
        state,
        topology,
        source,
        is_rootless=is_rootless,
        impairments=impairments,
        progress=SILENT,
    )
    try:
        opened = state.open_holder()
        if opened is None:
            raise machine_error(f'the lab "{topology.name}" ended right after it was built')
        lab = RunningLab(state, *opened)
        try:
            yield lab
        finally:
            os.close(lab.pidfd)
    finally:
        _undo(state, built)


def explain_steps(topology: Topology, impairments: Impairments = "auto") -> list[Step]:
    """Return the steps of a lab as this machine would carry them out."""
    return plan_lab(topology, host_abilities(topology, impairments), impairments)
