"""ScratchFormer: a Transformer in NumPy. Every module is made from the chapter that teaches it."""

__version__ = "0.1.0"
