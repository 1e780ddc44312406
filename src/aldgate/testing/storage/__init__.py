"""Stand-ins for where contents are kept."""
