"""Clusters: started, proven, described, used, removed."""
