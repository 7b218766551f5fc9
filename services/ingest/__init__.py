"""HTTP in, events out: what a clinic posts is checked, committed once, and published."""
