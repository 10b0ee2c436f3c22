"""Where labs, exercises and programs are looked for by name."""

import os


def search_path() -> list[str]:
    """Return the folders: the current one, those of ``$LABCTL_PATH``, the bundled ones."""
    own = [folder for folder in os.environ.get("LABCTL_PATH", "").split(":") if folder]
    return [".", *own, bundled_directory()]


def bundled_directory() -> str:
    """Return the folder with labctl's own ``labs`` and ``exercises``.

    In an installed wheel it lies in the package, in a checkout beside it.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    installed = f"{package}/bundled"
    return installed if os.path.isdir(installed) else os.path.dirname(package)
