"""From the evidence of all hosts to causes; ``rules_*`` hold one small function for each of them."""
