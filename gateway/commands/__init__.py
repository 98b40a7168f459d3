"""What people can do with a slash: one file per family, one table of them all."""
