"""What Parley costs beside a bot without any of it, measured on the same fake servers."""
