"""One photo's way: local journal, spool, recognition, upload, publishing, recovery."""
