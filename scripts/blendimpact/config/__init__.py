"""The configuration of a study: its files, checks and defaults, surveys, real images and plug-in families."""
