"""Programs inside a lab: found by name, started, awaited, logged and stopped."""
