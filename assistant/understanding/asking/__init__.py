"""What is asked: from cues and conditions to the typed question."""
