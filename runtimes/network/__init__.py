"""Pod networks: one interface, an implementation a file."""
