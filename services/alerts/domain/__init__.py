"""Policy, decisions and the life of an alert. Pure: no clock, no I/O."""
