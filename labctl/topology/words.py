"""Words in errors: the user's own in quotes, and the known ones that come nearest to them."""

import re
from collections.abc import Iterable

_LONGEST_QUOTE = 60

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LONGEST_NAME = 40
NAME_RULE = (
    "a name starts with a letter or digit, goes on with letters, digits, `_`, `.` and `-`, "
    f"and has at most {LONGEST_NAME} characters"
)


def is_name(text: str, *, longest: int = LONGEST_NAME) -> bool:
    """Whether a lab, node or program may be called this."""
    return len(text) <= longest and _NAME.fullmatch(text) is not None


def quoted(text: object) -> str:
    """Return the user's word in quotes, cut short and without anything a terminal would obey."""
    word = str(text)
    if len(word) > _LONGEST_QUOTE:
        word = word[: _LONGEST_QUOTE - 1] + "…"
    if not word.isprintable():
        word = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in word)
    return f'"{word}"'


def listed(words: Iterable[str], *, most: int = 12) -> str:
    """Return the words with commas between them, the many left out counted."""
    every = list(words)
    shown = ", ".join(every[:most])
    return f"{shown} and {len(every) - most} more" if len(every) > most else shown


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that was probably meant, or nothing."""
    # Imported here because it costs 5 ms and only an error needs it.
    from difflib import get_close_matches

    choices = {choice.casefold(): choice for choice in known}
    found = get_close_matches(word[:_LONGEST_QUOTE].casefold(), list(choices), n=1)
    return choices[found[0]] if found else ""


def suggestion(word: str, known: Iterable[str], *, kind: str = "known") -> str:
    """Return a hint: the word that was probably meant, or else all there are."""
    choices = list(known)
    if close := nearest(word, choices):
        return f"did you mean {quoted(close)}?"
    return f"{kind}: {listed(choices)}" if choices else ""
