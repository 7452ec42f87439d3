"""The audit in sealed blocks: making them, publishing the last of them, proving them."""
