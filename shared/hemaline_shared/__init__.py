"""What both ends agree on: messages, topics, ids, the pixel pipeline, errors."""
