"""What other gateways are configured to do, as a configuration of ours; pure but for `sources`."""
