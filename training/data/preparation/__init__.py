"""What is done with a data set before anything is trained on it: its views told and checked, its videos split."""
