"""The running service: joins the rooms, and is what a person starts. Nothing imports it."""
