"""The semantic level: decides what is sent, and measures what a message says."""
