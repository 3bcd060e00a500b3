"""What a failed call to AWS means: the tables of codes and errors, and whether its request has left."""
