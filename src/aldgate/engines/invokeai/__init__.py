"""InvokeAI: graphs in its queue, found again by the id of their batch."""
