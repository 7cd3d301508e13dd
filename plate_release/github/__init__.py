"""The GitHub runner's protocol."""
