"""Who may call, over which connections, and how often; ``guard.py`` puts it together."""
