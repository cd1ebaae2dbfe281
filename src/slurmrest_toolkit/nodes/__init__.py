"""Containers as hosts that Ansible and people reach."""
