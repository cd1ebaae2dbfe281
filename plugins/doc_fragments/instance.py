"""Documentation of the option that several modules have: which of several slurmrestd of a host is meant."""


class ModuleDocFragment:
    """What ansible-doc adds to a module."""

    DOCUMENTATION = """
options:
  instance: {description: "That of C(slurmrestd@INSTANCE.service), where several serve on this host.", type: str}
"""
