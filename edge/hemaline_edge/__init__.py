"""The agent beside a microscope: capture, judge, preprocess, spool, publish."""
