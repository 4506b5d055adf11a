"""The tree as a user sees it: one small class a view, and the pure query grammar."""
