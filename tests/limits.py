"""How long tests wait for what has to come."""

LIMIT_S = 30.0
"""How long anything may take before a test fails.

Much longer than it does take, also on a machine that stands still for some seconds.
"""
