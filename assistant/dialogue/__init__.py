"""What was said before: follow-up questions, and things to do, which are confirmed first."""
