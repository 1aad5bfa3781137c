"""The detector of metric vectors: views of rows beside a memory of normal patches."""
