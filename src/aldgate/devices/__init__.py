"""What GPUs there are on this machine, what they hold, and whose it is."""
