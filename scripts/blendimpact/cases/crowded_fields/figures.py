"""Figures of the crowded fields row."""

FIGURES = ()
