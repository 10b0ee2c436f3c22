"""YAML text becomes plain values, and the line of each.

Every scalar stays the text that was written: YAML 1.1 would make a boolean of the node name
``no`` and a number of the MAC address ``10:20:30:40:50:59``. Only an unquoted ``null``, ``~`` or
nothing at all is None.
"""

from collections.abc import Iterator
from typing import NoReturn, TypeAlias

import yaml

from labctl.topology.problems import Place, Problems
from labctl.topology.words import quoted

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"

_DEEPEST = 20
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_STRING_TAGS = (None, "!", "tag:yaml.org,2002:str")
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TEMPLATE_HINT = "a file with {{ }} or {% %} in it is a template, and its name ends in .yaml.j2"
_HINTS = {
    "mapping values are not allowed": 'put quotes around a value that has ": " in it',
    "cannot start any token": "indent with spaces, not tabs; put quotes around a value that "
    "starts with @, ` or %",
    "tab character": "indent with spaces, not tabs",
    "did not find expected": "look for a bracket, quote or comma that is missing, here or in the "
    "line above",
    "unexpected end of stream": "look for a quote that is not closed",
    "could not find expected ':'": "look for a key without its colon, here or in the line above",
}


class _UnreadableError(Exception):
    """The problem has been reported and what follows it cannot be understood."""


def read_tree(text: str, problems: Problems) -> Value:
    """Return what the text says, and note in ``problems`` where each value stands.

    Raises ``LabErrors`` where the text is not YAML; what can still be understood (a key that
    stands twice) is only reported.
    """
    try:
        value, problems.places = _Reader(text, problems).document()
        return value
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "cannot be read"
        hint = next((hint for part, hint in _HINTS.items() if part in said), "")
        if not problems.rendered and ("{%" in text or "{{" in text):
            hint = _TEMPLATE_HINT
        # At the end of the file the parser stands on a line that no editor shows.
        line = min(mark.line + 1 if mark else 1, text.rstrip().count("\n") + 1)
        problems.add_at_line(line, f"this is not YAML: {said}", hint)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = ord(error.character) if isinstance(error.character, str) else error.character
        problems.add_at_line(
            line,
            f"the character U+{code:04X} does not belong in a YAML file",
            "remove it; an editor may not show it",
        )
    except _UnreadableError:
        pass
    problems.raise_all()
    raise AssertionError("an unreadable file without a problem")


class _Reader:
    """One pass over the parser's events; not recursive beyond ``_DEEPEST``."""

    def __init__(self, text: str, problems: Problems) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self._problems = problems

    def document(self) -> tuple[Value, Place]:
        next(self._events)  # the start of the stream
        value: Value = None
        place = Place(1, 1, {})
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            value, place = self._value(next(self._events), 0)
        if value is None:
            self._stop(1, "the file is empty", "start with `name:`, `nodes:` and `links:`")
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._stop(_line(after), "a second document starts here", "one file is one lab")
        return value, place

    def _value(self, event: yaml.Event, depth: int) -> tuple[Value, Place]:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            self._stop(
                line,
                f"{quoted(f'*{event.anchor}')} refers to a value elsewhere, which lab files "
                "cannot do",
                "repeat the value, or make the file a template (.yaml.j2)",
            )
        tag = getattr(event, "tag", None)
        if tag not in _STRING_TAGS:
            self._problems.add_at_line(
                line, f"lab files have no tags such as {quoted(tag)}", "leave it out"
            )
        if isinstance(event, yaml.ScalarEvent):
            if event.implicit[0] and event.value in _NULLS:
                return None, Place(line, line, {})
            return event.value, Place(line, line, {})
        if depth == _DEEPEST:
            self._stop(line, f"values are nested more than {_DEEPEST} deep")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(line, depth)
        return self._mapping(line, depth)

    def _list(self, line: int, depth: int) -> tuple[Value, Place]:
        items: list[Value] = []
        place = Place(line, line, {})
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            value, inside = self._value(event, depth + 1)
            place.inside[len(items)] = inside
            items.append(value)
        return items, place

    def _mapping(self, line: int, depth: int) -> tuple[Value, Place]:
        mapping: dict[str, Value] = {}
        place = Place(line, line, {})
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                self._stop(key_line, "a key must be a word", _TEMPLATE_HINT)
            value, inside = self._value(next(self._events), depth + 1)
            if event.value in mapping:
                first = place.inside[event.value].key_line
                self._problems.add_at_line(
                    key_line,
                    f"{quoted(event.value)} stands here again, after line {first}",
                    "join the two, or give one another name",
                )
                continue
            mapping[event.value] = value
            # A block below its key starts a line later, or several: the key is what one looks for.
            shown = inside.line if isinstance(value, str) else key_line
            place.inside[event.value] = Place(shown, key_line, inside.inside)
        return mapping, place

    def _stop(self, line: int, problem: str, hint: str = "") -> NoReturn:
        self._problems.add_at_line(line, problem, hint)
        raise _UnreadableError


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
