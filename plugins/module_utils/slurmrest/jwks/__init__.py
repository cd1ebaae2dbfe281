"""The public keys of issuers: read from where they are published, kept fresh on a host."""
