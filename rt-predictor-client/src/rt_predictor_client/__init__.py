"""Python SDK and the rtp command."""
