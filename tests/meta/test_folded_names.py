"""Names are compared as Slurm's database stores them."""

from __future__ import annotations

from typing import Any

import jinja2.nativetypes
import pytest
import yaml
from ansible.plugins.filter.mathstuff import difference

from tests.meta import tree


@pytest.mark.parametrize(
    ("known", "unknown"), [([], ["carla", "bob"]), (["root", "carla"], ["bob"]), (["carla", "bob"], [])]
)
def test_a_user_with_capitals_is_known_by_the_name_that_sacctmgr_stores(known: list[str], unknown: list[str]) -> None:
    variables: dict[str, Any] = yaml.safe_load((tree.ROOT / "roles/slurm_cluster/vars/main.yml").read_text())
    environment = jinja2.nativetypes.NativeEnvironment()
    environment.filters["difference"] = jinja2.pass_environment(lambda env, a, b: difference(env, list(a), list(b)))
    template = environment.from_string(variables["__slurm_cluster_unknown"])
    users = [{"name": "Carla"}, {"name": "bob"}]
    found = template.render(slurm_cluster_users=users, __slurm_cluster_known={"stdout_lines": known})
    assert sorted(found) == sorted(unknown)
