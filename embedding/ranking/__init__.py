"""How videos are ranked that are like another: by their best moment, and by order where labels say that it helps."""
