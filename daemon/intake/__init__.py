"""Record -> Sample: decode, align parts on a time grid, counters to rates, metrics that come and go."""
