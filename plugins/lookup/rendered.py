"""The lookup by which roles render a template: Ansible's own, without a copy of all variables for each of them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rendered
author: slurmrest-toolkit contributors (!UNKNOWN)
short_description: A template of the role, rendered
description:
  - What P(ansible.builtin.template#lookup) gives. That copies all variables of the host, each part of them, for every
    template; here the templates of this collection see them as they are.
options:
  _terms: {description: Templates., required: true}
  template_vars: {description: Further variables., type: dict, default: {}}
  variable_start_string: {description: What begins a value., type: str, default: '{{'}
  variable_end_string: {description: What ends it., type: str, default: '}}'}
  comment_start_string: {description: What begins a comment., type: str, default: '{#'}
  comment_end_string: {description: What ends it., type: str, default: '#}'}
  trim_blocks: {description: Whether the line end after a block goes with it., type: bool, default: true}
"""

EXAMPLES = r"""
- name: Show what would be written
  ansible.builtin.debug:
    msg: "{{ lookup('slurmrest.toolkit.rendered', 'slurm.conf.j2') }}"
"""

RETURN = r"""
_raw: {description: The texts., type: list, elements: str}
"""

from typing import Any

from ansible.plugins.lookup.template import LookupModule as TemplateLookup


class Variables(dict[str, Any]):
    """Variables that are not copied with all that is in them: a template only reads them."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> dict[str, Any]:
        return dict(self)


class LookupModule(TemplateLookup):
    """What Ansible looks for."""

    def run(self, terms: list[str], variables: Any = None, **options: Any) -> list[str]:
        """Return the texts; AnsibleError where a template is not found."""
        render: Any = super().run  # which has no types
        found: list[str] = render(terms, Variables(variables or {}), **options)
        return found
