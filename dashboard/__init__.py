"""The pages that a shifter watches, in Streamlit: they read the report store only."""
