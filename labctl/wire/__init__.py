"""A bad link in user space, for kernels without netem and for rules."""
