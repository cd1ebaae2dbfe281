"""The shipped playbooks, run as a sysadmin runs them."""
