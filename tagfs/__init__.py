"""A sealed photo gallery that is an ordinary folder, browsable by what is in the pictures."""

__version__ = "0.1.0"
