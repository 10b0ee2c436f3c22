"""``exercise.yaml`` and the folder around it: one exercise."""

import os
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from labctl.errors import LabError
from labctl.programs.sandbox import Limits

FILE = "exercise.yaml"
_MOST_BYTES = 100_000

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
_Name = Annotated[str, Field(pattern=_NAME)]
_Line = Annotated[str, Field(min_length=1, max_length=200)]


class _LimitsShape(BaseModel):
    model_config = ConfigDict(extra="forbid")

    check_seconds: Annotated[float, Field(gt=0, le=600)] = 30
    cpu_seconds: Annotated[int, Field(ge=1, le=600)] = Limits().cpu_s
    memory_mb: Annotated[int, Field(ge=16, le=16384)] = Limits().memory_bytes >> 20
    processes: Annotated[int, Field(ge=4, le=4096)] = Limits().processes
    open_files: Annotated[int, Field(ge=16, le=65536)] = Limits().open_files
    output_kb: Annotated[int, Field(ge=4, le=65536)] = Limits().output_bytes >> 10
    scratch_mb: Annotated[int, Field(ge=1, le=4096)] = Limits().scratch_bytes >> 20


class _ExerciseShape(BaseModel):
    """What ``exercise.yaml`` may say."""

    model_config = ConfigDict(extra="forbid")

    title: _Line
    teaches: Annotated[list[_Line], Field(min_length=1)]
    needs: list[_Name] = []
    lab: str = "alone"
    parameters: dict[_Name, str | int | float | bool] = {}
    programs: Annotated[dict[_Name, _Line], Field(min_length=1)]
    limits: _LimitsShape = _LimitsShape()
    grants: list[Literal["raw"]] = []
    faulty: dict[_Name, str | list[str]] = {}


class Exercise(NamedTuple):
    """One exercise: what a learner builds, and how it is checked."""

    folder: str
    """Absolute."""
    title: str
    teaches: tuple[str, ...]
    needs: tuple[str, ...]
    """Slugs of the exercises to do first."""
    lab: str
    """Name or path of the lab of its checks."""
    parameters: dict[str, str]
    """Of the lab, where that is a template."""
    programs: dict[str, str]
    """Name of each program that a submission has, and the arguments that it takes."""
    limits: Limits
    check_seconds: float
    """How long one check may take before it is ended."""
    grants_raw: bool
    """Whether its programs may open raw sockets."""
    faulty: dict[str, tuple[str, ...]]
    """Each known mistake, and the checks that have to catch it: these fail, and no others."""

    @property
    def directory(self) -> str:
        """Return the folder's own name, as ``03-udp-time``."""
        return os.path.basename(self.folder)

    @property
    def slug(self) -> str:
        """Return the name without its number, as ``udp-time``."""
        return slug_of(self.directory)

    @property
    def checks_folder(self) -> str:
        return os.path.join(self.folder, "checks")


def slug_of(directory: str) -> str:
    """Return ``udp-time`` for ``03-udp-time``."""
    number, _, slug = directory.partition("-")
    return slug if number.isdigit() and slug else directory


def load_exercise(folder: str) -> Exercise:
    """Read an exercise. Raises ``LabError`` with the file's name where it is not one."""
    path = os.path.join(folder, FILE)
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES)
    except OSError as error:
        raise LabError(
            f"the exercise cannot be read: {(error.strerror or str(error)).lower()}",
            where=path,
            hint=f"a folder with {FILE} in it is an exercise",
        ) from None
    try:
        written = yaml.safe_load(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = path if mark is None else f"{path}:{mark.line + 1}"
        raise LabError(
            f"not YAML: {getattr(error, 'problem', None) or error}", where=where
        ) from None
    try:
        shape = _ExerciseShape.model_validate(written)
    except ValidationError as error:
        raise LabError(_said(error), where=path, hint=_known_keys(error)) from None
    return _exercise(os.path.abspath(folder), shape)


def _exercise(folder: str, shape: _ExerciseShape) -> Exercise:
    limits = shape.limits
    return Exercise(
        folder=folder,
        title=shape.title,
        teaches=tuple(shape.teaches),
        needs=tuple(shape.needs),
        lab=shape.lab,
        parameters={name: _parameter(value) for name, value in shape.parameters.items()},
        programs=dict(shape.programs),
        limits=Limits()._replace(
            cpu_s=limits.cpu_seconds,
            memory_bytes=limits.memory_mb << 20,
            processes=limits.processes,
            open_files=limits.open_files,
            output_bytes=limits.output_kb << 10,
            scratch_bytes=limits.scratch_mb << 20,
        ),
        check_seconds=limits.check_seconds,
        grants_raw="raw" in shape.grants,
        faulty={name: _as_tuple(checks) for name, checks in shape.faulty.items()},
    )


def _parameter(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_tuple(checks: str | Sequence[str]) -> tuple[str, ...]:
    return (checks,) if isinstance(checks, str) else tuple(checks)


def _first(error: ValidationError) -> ErrorDetails:
    # A key that is misspelled is missing as well, and the misspelling says more.
    errors = error.errors()
    return next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])


def _said(error: ValidationError) -> str:
    first = _first(error)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f'unknown key "{key}"'
    if first["type"] == "missing":
        return f'the key "{key}" is missing'
    return f'"{key}": {first["msg"].lower()}' if key else "the file is not a mapping"


def _known_keys(error: ValidationError) -> str:
    inside = [str(part) for part in _first(error)["loc"][:-1]]
    shape = _LimitsShape if inside == ["limits"] else _ExerciseShape
    return f"the keys are: {', '.join(shape.model_fields)}"
