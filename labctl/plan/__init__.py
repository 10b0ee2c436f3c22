"""How the lab will be built: a topology becomes a list of steps, without touching the machine."""
