"""One driver per stage: read files, loop over patches, write files.

The workflow's scripts call these with keyword arguments; so can a notebook.
"""
