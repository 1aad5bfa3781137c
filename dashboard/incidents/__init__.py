"""The list of incidents, grouped, filtered and paged."""
