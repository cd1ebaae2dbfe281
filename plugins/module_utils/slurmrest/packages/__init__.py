"""The package manager of a host: asked what it would do first, let do it where that is harmless."""
