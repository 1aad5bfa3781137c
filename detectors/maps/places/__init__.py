"""The places of a map that could be broken, for each type of element, and the sums of their cells."""
