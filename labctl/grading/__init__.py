"""Exercises and their checks: who passed, who failed, and whose fault it was."""
