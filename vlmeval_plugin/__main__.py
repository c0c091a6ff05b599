"""``python -m vlmeval_plugin``."""

from vlmeval_plugin.command import main

if __name__ == "__main__":
    main()
