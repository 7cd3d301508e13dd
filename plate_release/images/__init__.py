"""Image references, tag policy, and the registry's word that an image exists."""
