"""What keeps the contenders busy, from the core they do not run on."""
