"""Who may call, over which connections, and how often."""
