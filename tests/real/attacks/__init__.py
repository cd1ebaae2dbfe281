"""What an attacker tries, on a real cluster."""
