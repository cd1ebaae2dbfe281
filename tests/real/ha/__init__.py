"""Two controllers with one state: what works while one is down, what is said meanwhile, and how long it takes."""
