"""Find a scalar in YAML and splice it; nothing else in the file changes."""
