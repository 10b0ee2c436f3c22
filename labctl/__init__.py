"""labctl builds small networks on one Linux machine, for teaching and for grading."""
