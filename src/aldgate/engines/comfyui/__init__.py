"""ComfyUI: workflows with named inputs, run in its queue."""
