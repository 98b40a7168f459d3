"""What answers: the configured providers' models and the offline demo."""
