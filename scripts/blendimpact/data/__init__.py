"""Data at rest: images, patches, catalogues, child images, provenance, and the files they are kept in."""
