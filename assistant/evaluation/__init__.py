"""The assistant measured: questions as data, generated stores, graders that are programs."""
