"""The command line: parsing, words and progress bars; no logic of its own."""
