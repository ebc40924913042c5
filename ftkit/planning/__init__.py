"""What a run will cost and whether it fits; the best use of what there is."""
