"""Add sources of known truth to any image."""
