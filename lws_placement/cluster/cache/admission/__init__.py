"""What the API server adds to pods, as far as its objects and the pods themselves show."""
