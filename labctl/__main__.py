"""``python -m labctl``."""

from labctl.cli import run_and_exit

run_and_exit()
