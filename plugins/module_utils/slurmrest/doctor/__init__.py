"""From evidence of all hosts to causes: ``diagnose`` is pure, ``rules_*`` hold one small function for each cause."""
