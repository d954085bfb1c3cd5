"""The sky of a patch: simulated or adopted, what is injected into it, and the true scene."""
