"""What people and machines are told: console, JSON, summary."""
