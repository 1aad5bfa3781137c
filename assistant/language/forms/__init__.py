"""Other ways to say a thing, brought to the forms that the grammar knows."""
