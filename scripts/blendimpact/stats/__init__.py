"""Random streams, intervals, histograms, and figures of merit as functions of sums."""
