"""What the gate costs, measured beside nginx and beside the naive proxy, in one run on one machine."""
