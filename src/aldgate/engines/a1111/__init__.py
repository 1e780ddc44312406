"""AUTOMATIC1111 and Forge: one generation at a time, by a request that waits for it."""
