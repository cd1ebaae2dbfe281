"""Documentation of the option that several modules have: which slurm.conf counts."""


class ModuleDocFragment:
    """What ansible-doc adds to a module."""

    DOCUMENTATION = """
options:
  slurm_conf: {description: "Path of slurm.conf, where it is not at a usual place.", type: path}
"""
