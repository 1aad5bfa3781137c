"""Words: spelling, times, names, and how numbers and lists are said."""
