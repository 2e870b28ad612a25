"""What the gateway does, step by step."""
