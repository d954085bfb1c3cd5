"""Command line of the library: ``python -m blendimpact check``, or ``try detector sep --option threshold=4``."""

from .stages.trial import main

if __name__ == "__main__":
    main()
