"""The exercises of chapter 12, GPT."""
from ...gpt import attend_with_cache, next_token_pair, perplexity, top_k, top_p, transformer_lm
from ..exercise import Exercise

TRANSFORMER_LM = Exercise(transformer_lm, list)
NEXT_TOKEN_PAIR = Exercise(next_token_pair, list)
PERPLEXITY = Exercise(perplexity, list)
TOP_K = Exercise(top_k, list)
TOP_P = Exercise(top_p, list)
ATTEND_WITH_CACHE = Exercise(attend_with_cache, list)
