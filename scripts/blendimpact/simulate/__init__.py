"""Draw patches of sky with GalSim."""
