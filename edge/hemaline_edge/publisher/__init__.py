"""From the spool to the cloud: a window of messages under way, each until its receipt."""
