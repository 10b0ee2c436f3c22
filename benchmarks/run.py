"""Measures the budgets: ``python benchmarks/run.py``; see README.md."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts this script's own folder here, in which "benchmarks" cannot be found.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

    from benchmarks.command import main

    sys.exit(main(sys.argv[1:]))
