"""Lab templates: Jinja2 in a sandbox, with parameters that are all accounted for.

A parameter is a variable that the template uses and does not set. Its default is written as
Jinja2 has it, ``{% set clients = clients | default(3) %}``, and is also its type: a parameter
whose default is a number takes only numbers. One without a default must be given.
"""

import re
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from labctl.errors import LabError, LabErrors
from labctl.topology.find import LONGEST_FILE
from labctl.topology.words import quoted, suggestion

_MOST_ITERATIONS = 200_000
_LARGEST_NUMBER = 10**12

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}")


class Parameter(NamedTuple):
    """A variable of a template that ``-p NAME=VALUE`` sets."""

    name: str
    default: str | int | float | bool | None
    """None where there is no fixed default: see ``required``."""
    required: bool


def template_parameters(text: str, path: str) -> list[Parameter]:
    """Return the parameters of a template in the order of their names, with their defaults."""
    return _parsed(_environment(), text, path)[1]


def render(text: str, parameters: Mapping[str, str], path: str) -> str:
    """Return the template's text with the parameters put in.

    Raises ``LabErrors`` with all parameters that are unknown, missing or of the wrong type, or
    ``LabError`` with the line of the template that fails.
    """
    environment = _environment()
    tree, known = _parsed(environment, text, path)
    values = _values(known, parameters, path)
    pieces: list[str] = []
    size = 0
    try:
        for piece in environment.from_string(tree).generate(values):
            size += len(piece)
            if size > LONGEST_FILE:
                raise _TooMuchError(f"the lab grows beyond {LONGEST_FILE} characters")
            pieces.append(piece)
    # A template is a program: what can go wrong in it has no common base class.
    except Exception as error:
        raise _failure(error, path) from None
    return "".join(pieces)


class _TooMuchError(Exception):
    """A limit that keeps a slip of the pen from taking the machine's memory."""


class _Environment(SandboxedEnvironment):
    """The sandbox, with a limit to what loops and arithmetic may add up to."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 (Jinja2's signature)
        """Refuse the two operators that make much out of little, beyond small numbers."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        small = numbers and abs(left) <= _LARGEST_NUMBER and abs(right) <= _LARGEST_NUMBER
        if not small or (operator == "**" and abs(right) > 64):
            raise _TooMuchError(f"the operator {operator} is for small numbers only")
        return super().call_binop(context, operator, left, right)


def _environment() -> SandboxedEnvironment:
    environment = _Environment(undefined=StrictUndefined, autoescape=False)
    left = _MOST_ITERATIONS

    def bounded_range(*limits: int) -> Iterator[int]:
        # Jinja2 bounds each range, but not one inside another.
        nonlocal left
        numbers = range(*limits)
        left -= len(numbers)
        if left < 0:
            raise _TooMuchError(f"its loops run more than {_MOST_ITERATIONS} times")
        return iter(numbers)

    environment.globals = {"range": bounded_range, "namespace": environment.globals["namespace"]}
    return environment


def _parsed(
    environment: SandboxedEnvironment, text: str, path: str
) -> tuple[nodes.Template, list[Parameter]]:
    try:
        tree = environment.parse(text)
        known = _parameters(tree)
    except TemplateSyntaxError as error:
        raise LabError(
            f"the template cannot be read: {_lowered(error)}",
            where=f"{path}:{error.lineno}",
            hint="see https://jinja.palletsprojects.com/templates",
        ) from None
    except RecursionError:
        raise LabError("the template is nested too deep", where=f"{path}:1") from None
    outside = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    for elsewhere in tree.find_all(outside):
        raise LabError(
            "the template refers to another file",
            where=f"{path}:{elsewhere.lineno}",
            hint="a lab is one file; put the text of the other file here",
        )
    return tree, known


def _parameters(tree: nodes.Template) -> list[Parameter]:
    defaults: dict[str, Any] = {}
    optional = set()
    for use in tree.find_all((nodes.Filter, nodes.Test)):
        if use.name not in ("default", "d", "defined") or not isinstance(use.node, nodes.Name):
            continue
        optional.add(use.node.name)
        if isinstance(use, nodes.Filter) and use.args and isinstance(use.args[0], nodes.Const):
            defaults.setdefault(use.node.name, use.args[0].value)
    return [
        Parameter(name, defaults.get(name), name not in optional)
        for name in sorted(meta.find_undeclared_variables(tree) - {"range", "namespace"})
    ]


def _values(
    known: list[Parameter], given: Mapping[str, str], path: str
) -> dict[str, str | int | float | bool]:
    problems: list[LabError] = []
    values = {}
    by_name = {parameter.name: parameter for parameter in known}
    for name, text in given.items():
        if name not in by_name:
            hint = suggestion(name, by_name, kind="its parameters are")
            problems.append(
                LabError(
                    f"the lab has no parameter {quoted(name)}",
                    where=f"-p {name}={text}",
                    hint=hint or "it takes none",
                )
            )
            continue
        default = by_name[name].default
        value = text if isinstance(default, str) else _understood(text)
        if not _is_like(value, default):
            what = "true or false" if isinstance(default, bool) else "a number"
            problems.append(
                LabError(
                    f"the parameter {quoted(name)} is {what}, not {quoted(text)}",
                    where=f"-p {name}={text}",
                    hint=f"its default is {str(default).lower()}",
                )
            )
        values[name] = value
    problems += [
        LabError(
            f"the lab needs a value for its parameter {quoted(parameter.name)}",
            where=f"{path}:1",
            hint=f"add -p {parameter.name}=VALUE",
        )
        for parameter in known
        if parameter.required and parameter.name not in given
    ]
    if problems:
        raise LabErrors(problems)
    return values


def _understood(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


def _is_like(value: object, default: object) -> bool:
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return True


def _failure(error: Exception, path: str) -> LabError:
    if isinstance(error, RecursionError):
        said = "it calls itself without end"
    elif isinstance(error, TemplateError | _TooMuchError):
        said = _lowered(error)
    else:
        said = _lowered(error) or "it cannot be carried out"
    line = getattr(error, "lineno", 0) or _template_line(error.__traceback__)
    return LabError(f"the template fails: {said}", where=f"{path}:{line or 1}")


def _template_line(traceback: TracebackType | None) -> int:
    """Return the line of the template in which the error arose; Jinja2 puts it into the frames."""
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _lowered(error: Exception) -> str:
    said = str(error).strip().rstrip(".")
    return said[:1].lower() + said[1:]
