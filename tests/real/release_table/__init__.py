"""What the release table says of a series, asked of a running one."""
