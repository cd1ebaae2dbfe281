"""Tokens and keys: HS256, key files, sets of public keys, and how a token is made."""
