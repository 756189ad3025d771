"""Numbers in English and in German words, with spaces between the parts: 21 is "twenty one", "ein und zwanzig"."""
from .arguments import check_count

ENGLISH = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
           "seventeen eighteen nineteen").split()
ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
GERMAN = ("null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
          "siebzehn achtzehn neunzehn").split()
GERMAN_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()


def in_english(n):
    """A whole number from 0 to 999 in English words: 321 is "three hundred twenty one"."""
    check_number(n)
    if n < 20:
        return ENGLISH[n]
    if n < 100:
        return ENGLISH_TENS[n // 10 - 2] + (f" {ENGLISH[n % 10]}" if n % 10 else "")
    return f"{ENGLISH[n // 100]} hundred" + (f" {in_english(n % 100)}" if n % 100 else "")


def in_german(n):
    """A whole number from 0 to 999 in German words: 321 is "drei hundert ein und zwanzig"."""
    check_number(n)
    if n < 20:
        return GERMAN[n]
    if n < 100:
        return (f"{one_before(n % 10)} und " if n % 10 else "") + GERMAN_TENS[n // 10 - 2]
    return f"{one_before(n // 100)} hundert" + (f" {in_german(n % 100)}" if n % 100 else "")


def one_before(digit):
    """A digit with more words after it: eins loses its s."""
    return "ein" if digit == 1 else GERMAN[digit]


def check_number(n):
    check_count("n", n, least=0)
    if n > 999:
        raise ValueError(f"n must be at most 999; got {n}")
