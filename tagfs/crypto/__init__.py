"""Sealing, key derivation and padding: pure functions without I/O."""
