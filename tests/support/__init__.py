"""What the tests share. Standard library only; nothing here sleeps blindly: it waits for a
condition, with a deadline."""
