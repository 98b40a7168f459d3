"""The local HTTP API; imported only once the gateway runs."""
