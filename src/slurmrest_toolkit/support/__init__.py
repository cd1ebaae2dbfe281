"""What every part uses and no part owns."""
