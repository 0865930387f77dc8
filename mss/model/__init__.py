"""The ground: values everybody shares. Pure; imports nothing of ours above itself."""
