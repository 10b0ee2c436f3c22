"""What the lab is: the model of a network, and how it is read from YAML."""
