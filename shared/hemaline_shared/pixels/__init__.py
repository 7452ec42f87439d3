"""The one pixel pipeline: the edge, training and evaluation all call this code."""

import os

# OpenCV reads this when it is first imported. Its own default lets one image take over 3 GB;
# decode.py checks each header against tighter limits first, so this is the second wall.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(100_000_000))
