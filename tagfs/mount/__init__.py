"""The FUSE edge: pyfuse3 operations, inode numbers, handles, the daemon and its control socket."""
