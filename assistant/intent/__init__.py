"""A second opinion on what a question asks: heads on MiniLM, learned from the questions of the evaluation."""
