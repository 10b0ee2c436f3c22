"""Known mistakes of an exercise: the reference with a few lines changed, or a program of its own.

``faulty/NAME.patch`` is a unified diff, so that a reader sees the mistake and nothing else, and a change
of the reference is made once. ``faulty/NAME/`` has whole files, which take the place of those in the reference.
"""

import os
import shutil
import subprocess

from labctl.errors import LabError, machine_error
from labctl.grading.exercise import Exercise

_PATCH = ".patch"


def mistakes_in(exercise: Exercise) -> dict[str, str]:
    """Return the path of each mistake that there is, by its name."""
    folder = os.path.join(exercise.folder, "faulty")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return {name.removesuffix(_PATCH): os.path.join(folder, name) for name in names}


def need_patch(exercise: Exercise) -> None:
    """Raise ``LabError`` where a mistake is a patch, and patch(1) is not installed."""
    if not shutil.which("patch") and any(
        path.endswith(_PATCH) for path in mistakes_in(exercise).values()
    ):
        raise machine_error(
            "patch is not installed: known mistakes are patches of the reference",
            hint="sudo apt-get install patch",
        )


def make_mistake(exercise: Exercise, name: str, folder: str) -> None:
    """Make a submission with this mistake; ``folder`` is new.

    Raises ``LabError`` where there is none of that name, or where a patch does not fit.
    """
    path = mistakes_in(exercise).get(name)
    if path is None:
        raise LabError(f'there is no mistake "{name}"', where=exercise.folder)
    shutil.copytree(os.path.join(exercise.folder, "reference"), folder)
    if not path.endswith(_PATCH):
        shutil.copytree(path, folder, dirs_exist_ok=True)
        return
    done = subprocess.run(
        [
            *("patch", "--strip=1", "--fuzz=0", "--force", "--no-backup-if-mismatch"),
            *("--reject-file=-", f"--directory={folder}", f"--input={os.path.abspath(path)}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(
            "the patch does not fit the reference",
            where=path,
            hint="make the mistake anew in a copy of reference/, and: "
            f"diff -u reference/FILE copy/FILE > faulty/{name}{_PATCH}",
            output=(done.stdout + done.stderr).strip(),
        )
