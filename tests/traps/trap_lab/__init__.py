"""Chat tasks of somebody's own, each with a mistake that trainers have made."""
