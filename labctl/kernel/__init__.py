"""The only code that changes the machine: namespaces, netlink, and the process that owns a lab."""
