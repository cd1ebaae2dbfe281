"""Logins of a gateway: who asks, for how long that holds, and the short token that slurmctld takes for each user."""
