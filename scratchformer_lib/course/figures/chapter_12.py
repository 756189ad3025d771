"""Pictures of chapter 12: how a token is chosen, and what a cache gains."""


def choosing_widget(vocabulary, model, sample, top_k, top_p):
    """To do."""


def cost_picture(lengths, with_cache, without):
    """To do."""
