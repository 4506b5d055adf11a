"""The tag-to-object map in LMDB: sealed tables, posting lists, the state that operations build."""
