"""What a check imports: the names are promised to those who write exercises."""

import re
from pathlib import Path

from labctl import testing

PAGE = Path(__file__).parent.parent / "labctl" / "grading" / "README.md"

PROMISED = {
    *(
        "Address",
        "Ended",
        "Lab",
        "Listener",
        "Node",
        "Program",
        "Sighting",
        "SocketEntry",
        "Submission",
        "Tcp",
        "Udp",
    ),
    *("Unmet", "WITHIN_S", "expect", "expect_equal", "machine_error", "unmet", "until"),
}


def test_the_vocabulary_is_what_is_promised() -> None:
    assert {name for name in vars(testing) if not name.startswith("_")} == PROMISED


def test_every_method_that_the_page_names_is_there() -> None:
    """The table of the page on checks, against the classes themselves."""
    table = PAGE.read_text().partition("is the whole vocabulary")[2].partition("Marks:")[0]
    classes = [vars(testing)[name] for name in PROMISED if isinstance(vars(testing)[name], type)]
    known = PROMISED | {name for each in classes for name in dir(each)} | {"seed", "rng", "lab"}
    named = set(re.findall(r"(?<=[.`])([a-z_]+)(?=[(`])", table))

    assert {"connect", "freeze", "faults", "sockets"} <= named
    assert named - known - {"ss", "submission", "with"} == set()
