"""What another release means for the REST service."""
