"""What every stage shares: images, catalogues, random streams, surveys, statistics."""
