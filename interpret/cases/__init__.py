"""A case beside what would have to change, and beside other cases."""
