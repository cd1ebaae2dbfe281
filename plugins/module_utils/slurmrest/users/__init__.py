"""What a cluster's users do over REST: get a token, submit a batch script, follow, show, list and cancel jobs."""
