"""The analytical road: the operations of the network reversed layer by layer, each method a file."""
