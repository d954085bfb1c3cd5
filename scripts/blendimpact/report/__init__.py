"""The matrix: science cases by stages, with verdicts, figures and the page."""
