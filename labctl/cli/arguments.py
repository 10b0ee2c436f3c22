"""Arguments that several verbs share, with what completes them."""

from __future__ import annotations

import os

from labctl.errors import LabError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from labctl.grading.exercise import Exercise
    from labctl.kernel.control import ProgramStatus
    from labctl.plan.backend import Impairments
    from labctl.topology.model import Topology

IMPAIRMENTS: tuple[Impairments, ...] = ("auto", "netem", "wire", "none")


def add_lab_arguments(parser: argparse.ArgumentParser) -> None:
    """Add LAB and -p, for verbs that read a lab file."""
    lab = parser.add_argument("lab", metavar="LAB", help="a name such as two_clients, or a file")
    lab.completer = complete_lab_files  # type: ignore[attr-defined]
    parser.add_argument(
        "-p",
        dest="parameters",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a parameter of a template (.yaml.j2); may be repeated",
    )


def lab_path(lab: str) -> str:
    """Return the file that LAB means."""
    from labctl.programs.search import search_path
    from labctl.topology.find import find_lab

    return find_lab(lab, search_path())


def lab_parameters(words: list[str]) -> dict[str, str]:
    """Return what -p set. Raises ``LabError`` for a word without an equals sign."""
    parameters = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise LabError(f'"-p {word}" sets nothing', hint="write it as -p NAME=VALUE")
        parameters[name] = value
    return parameters


def lab_topology(args: argparse.Namespace) -> Topology:
    """Return the lab that LAB and -p describe."""
    from labctl.topology.cache import load_topology

    name = getattr(args, "name", None) or ""
    return load_topology(lab_path(args.lab), lab_parameters(args.parameters), name)


def add_lab_option(parser: argparse.ArgumentParser) -> None:
    """Add -l, for verbs that work on a running lab."""
    option = parser.add_argument(
        "-l", "--lab", metavar="LAB", help="which lab; may be left out while one lab is up"
    )
    option.completer = complete_running_labs  # type: ignore[attr-defined]


def add_lab_argument(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Add an optional positional LAB, for verbs that work on a running lab; -l says the same."""
    import argparse

    argument = parser.add_argument(
        # Without a default of its own it leaves alone what -l has set.
        "lab",
        metavar="LAB",
        nargs="?",
        default=argparse.SUPPRESS,
        help=help_text,
    )
    option = parser.add_argument(
        "-l", "--lab", metavar="LAB", help="the same, as other verbs have it"
    )
    for action in (argument, option):
        action.completer = complete_running_labs  # type: ignore[attr-defined]


def add_node_argument(parser: argparse.ArgumentParser) -> None:
    """Add a positional NODE."""
    argument = parser.add_argument("node", metavar="NODE", help="a node of the lab")
    argument.completer = complete_nodes  # type: ignore[attr-defined]


def add_program_argument(parser: argparse.ArgumentParser) -> None:
    """Add a positional NAME of a background program."""
    argument = parser.add_argument(
        "program",
        metavar="NAME",
        nargs="?",
        help="as `labctl ps` lists it; may be left out while there is one",
    )
    argument.completer = complete_programs  # type: ignore[attr-defined]


def chosen_program(word: str | None, programs: list[ProgramStatus]) -> str:
    """Return NAME, or the only program's name. Raises ``LabError`` where that is none or many."""
    if word is not None:
        return word
    if len(programs) == 1:
        return programs[0].name
    if not programs:
        raise LabError(
            "there is no program",
            hint="labctl run -d NODE PROGRAM starts one, labctl ps lists them",
        )
    names = " ".join(program.name for program in programs)
    raise LabError("which program?", hint=f"the lab's programs are: {names}")


def add_exercise_argument(parser: argparse.ArgumentParser) -> None:
    """Add EXERCISE."""
    exercise = parser.add_argument(
        "exercise",
        metavar="EXERCISE",
        help="a name (udp-time), a number (3), or a folder (./my-exercise)",
    )
    exercise.completer = complete_exercises  # type: ignore[attr-defined]


def add_seed_option(parser: argparse.ArgumentParser) -> None:
    """Add --seed."""
    parser.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=1,
        help="of all random choices: with the same one a run repeats exactly (1)",
    )


def chosen_exercise(word: str) -> Exercise:
    """Return the exercise that EXERCISE means."""
    from labctl.grading.syllabus import find_exercise
    from labctl.programs.search import search_path

    return find_exercise(word, search_path())


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs to read")


def add_mode_options(parser: argparse.ArgumentParser) -> None:
    """Add --rootless and --root."""
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--rootless",
        action="store_true",
        help="build inside a user namespace (the default unless you are root)",
    )
    mode.add_argument(
        "--root",
        action="store_true",
        help="name the namespaces in /run/netns, for `ip netns exec` (the default for root)",
    )


def add_impairments_option(parser: argparse.ArgumentParser) -> None:
    """Add --impairments."""
    parser.add_argument(
        "--impairments",
        choices=IMPAIRMENTS,
        default="auto",
        help="build links for netem, or so that labctl itself makes them bad (wire); auto takes "
        "netem where the kernel has it; none builds plain links, which without netem stay good",
    )


def choose_rootless(*, rootless: bool, root: bool) -> bool:
    """Return the mode that the options and the user make. Raises ``LabError`` for --root without."""
    if root and os.geteuid() != 0:
        raise LabError(
            "--root needs root", hint='as root: sudo "$(command -v labctl)" …; or leave --root out'
        )
    return rootless or os.geteuid() != 0


def command_words(words: list[str]) -> list[str]:
    """Return a command line without the ``--`` that may stand before it."""
    return words[1:] if words[:1] == ["--"] else words


def complete_exercises(**_: object) -> list[str]:
    """Return the exercises that a name finds, for completion."""
    from labctl.grading.exercise import slug_of
    from labctl.grading.syllabus import exercise_folders
    from labctl.programs.search import search_path

    return [slug_of(os.path.basename(folder)) for folder in exercise_folders(search_path())]


def complete_running_labs(**_: object) -> list[str]:
    """Return the labs that are up, for completion."""
    from labctl.kernel.state import all_labs

    return [state.name for state in all_labs() if state.is_committed() and state.is_up()]


def complete_lab_files(**_: object) -> list[str]:
    """Return the labs that a name finds, for completion."""
    from labctl.programs.search import search_path
    from labctl.topology.find import list_labs

    return [name for name, _, _ in list_labs(search_path())]


def complete_nodes(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the nodes of the lab that the line means; none where it means no lab."""
    from labctl.lab import open_lab

    try:
        return list(open_lab(parsed_args.lab).state.nodes())
    except LabError:
        return []


def complete_programs(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the lab's background programs, for completion."""
    from labctl.kernel.control import Control
    from labctl.lab import open_lab

    try:
        return [program.name for program in Control(open_lab(parsed_args.lab).state).programs()]
    except LabError:
        return []
