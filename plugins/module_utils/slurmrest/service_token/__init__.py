"""The token of a service: minted on a controller for an account of its own, fetched and kept fresh by who uses it."""
