"""What systemd says of units, and what is told to it."""
