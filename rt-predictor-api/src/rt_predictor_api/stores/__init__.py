"""What the service keeps outside of its memory, besides the journal."""
