"""The engine of slurmrest-toolkit: what slurmrestd needs on a host, decided from evidence.

Standard library only, Python 3.9 and later: the Ansible modules carry it to any host. Each folder is a room with one
subject; a room imports rooms on lower floors only (docs/architecture.md, and the contract in pyproject.toml).
"""
