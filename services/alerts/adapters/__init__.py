"""Between the contracts and the tables on one side, and the pure decisions on the other."""
