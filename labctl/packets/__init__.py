"""What is in a packet: bytes become values, and a line for people; pure."""
