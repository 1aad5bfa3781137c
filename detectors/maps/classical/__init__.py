"""The classical tests of an occupancy map, each alone and all behind one alarm."""
