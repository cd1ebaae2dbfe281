"""Our lines in the site's own configuration files."""
