"""`--preset auto`: what the videos and the machine are like, and a configuration chosen for them, with the reasons."""
