"""A gateway, its people and its crashes in one process, for the random walk of tests.test_stateful."""
