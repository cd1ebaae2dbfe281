"""Where a key or a token must never be: output, logs, process lists, environments, temporary folders."""
