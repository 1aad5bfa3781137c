"""What training never showed: how new patches of each metric are, and whole rows."""
