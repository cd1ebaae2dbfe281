"""Podman and Docker, and the host that they run on."""
