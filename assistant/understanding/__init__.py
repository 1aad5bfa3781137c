"""A question in plain words to a typed question: conditions with their scope, and what is asked."""
