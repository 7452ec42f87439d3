"""What both ends agree on: messages, topics, ids, the pixel pipeline, errors."""

import os

# OpenCV reads this when it is first imported, so it stands where every process of ours comes by
# before. OpenCV's own default lets one image take over 3 GB; pixels/decode.py checks each header
# against tighter limits first: this is the second wall.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(100_000_000))
