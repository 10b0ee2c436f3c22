"""What a check raises where the program under check did not do what it should."""

from typing import NoReturn


class Unmet(Exception):
    """The program's fault: what was expected of it, what it did, and a hint for whoever wrote it.

    Anything else that a check raises is the fault of the check, of the lab or of labctl, but for a
    plain ``assert``, which is read as this without a hint.
    """

    def __init__(self, expected: str, actual: str, hint: str = "") -> None:
        super().__init__(f"expected: {expected}; actual: {actual}")
        self.expected = expected
        self.actual = actual
        self.hint = hint


def unmet(expected: str, actual: str, hint: str = "") -> NoReturn:
    """Say that the program did not do what it should."""
    raise Unmet(expected, actual, hint)


def expect(condition: object, *, expected: str, actual: str, hint: str = "") -> None:
    """Go on where the condition holds. Raises ``Unmet`` where it does not."""
    if not condition:
        raise Unmet(expected, actual, hint)


def expect_equal(actual: object, expected: object, what: str, hint: str = "") -> None:
    """Compare a value of the program with the right one; ``what`` names it for the learner.

    Raises ``Unmet`` where they differ.
    """
    if actual != expected:
        right, wrong = told_apart(expected, actual)
        raise Unmet(f"{what}: {right}", f"{what}: {wrong}", hint)


_MOST_SHOWN = 64
_SHOWN_BEFORE = 16
"""Of bytes that are the same in both, before the first that differs."""


def shown(value: object) -> str:
    """Return a value as a learner reads it: text as it is, bytes escaped and cut."""
    if isinstance(value, bytes):
        text = repr(value[:_MOST_SHOWN])[1:]
        more = len(value) - _MOST_SHOWN
        return f"{text} and {more} more bytes" if more > 0 else text
    return value if isinstance(value, str) else repr(value)


def told_apart(expected: object, actual: object) -> tuple[str, str]:
    """Return both as a learner reads them; long bytes from shortly before they part."""
    if isinstance(expected, bytes) and isinstance(actual, bytes):
        pairs = enumerate(zip(expected, actual, strict=False))
        shorter = min(len(expected), len(actual))
        same = next((at for at, (one, other) in pairs if one != other), shorter)
        if same > _MOST_SHOWN - _SHOWN_BEFORE:
            start = same - _SHOWN_BEFORE
            where = f"from byte {start} on"
            return f"{shown(expected[start:])} {where}", f"{shown(actual[start:])} {where}"
    return shown(expected), shown(actual)
