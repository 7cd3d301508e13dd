"""Argo CD: client, stream, typed status, and the verdict."""
