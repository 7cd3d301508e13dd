"""From an Application to its chart, its values, what it renders and how that changes."""
