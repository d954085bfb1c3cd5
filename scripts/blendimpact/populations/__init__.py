"""What skies are made of and what is injected: galaxies, stars, supernovae, moving objects, catalogues of users."""
