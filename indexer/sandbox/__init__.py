"""A separate process that reads documents within limits of time and memory."""
