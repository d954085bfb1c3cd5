"""Machinery of the deblenders that fit models: profiles, parents, solvers. No plug-in lives here."""
