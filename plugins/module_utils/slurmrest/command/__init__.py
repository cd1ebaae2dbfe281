"""What the command lines of several features share."""
