"""Images of nodes: plain, with packages, converged."""
