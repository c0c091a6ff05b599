"""``rrvf serve``: an environment behind HTTP, for trainers that run elsewhere."""
