"""What the site is built with: links, the reference of commands, and the check of the result."""
