"""Stores that keep sealed bytes and cannot read them: one protocol, several places."""
