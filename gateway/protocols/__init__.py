"""What we ask of a channel, of a model and of a clock."""
