"""How numbers are written: in the form of the language that the text around them is in; pure.

Every *lang* is a BCP 47 tag. A language that the bot does not speak is answered in English, so its numbers have the
English form too, and regions change nothing: one line never has two forms. Babel (CLDR) is loaded by the first number
that needs it: 7 ms, then 10 ms for the first language, 7 MB for both.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import cache
from typing import TYPE_CHECKING

from gateway.texts.language import language_of

if TYPE_CHECKING:
    from babel import Locale

NANO = 1_000_000_000  # in a dollar
LEAST = 100_000  # nano-dollars in the last decimal shown: $0.0001
PLAIN = 1000  # whole numbers below are digits alone, in every language there is a text in
# Symbols of the SI, the same in every language (SI Brochure, 9th edition, tables 1, 7 and 8).
SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
LENGTHS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def whole(number: int, lang: str = "") -> str:
    """12,345."""
    if -PLAIN < number < PLAIN:
        return str(number)
    from babel.numbers import format_decimal

    return format_decimal(number, locale=_locale(lang))


def decimal(number: Decimal, places: int, lang: str = "") -> str:
    """Rounded half to even, always with so many decimals: 12.50."""
    from babel.numbers import format_decimal

    pattern = "#,##0" + ("." + "0" * places if places else "")
    exact = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    return format_decimal(exact, format=pattern, locale=_locale(lang))


def percent(number: float, lang: str = "") -> str:
    """Of a hundred, with one decimal: 85.0 %."""
    return f"{decimal(Decimal(repr(number)), 1, lang)} %"


def money(nano: int, lang: str = "") -> str:
    """Nano-dollars with four decimals; what is less than the last of them is never shown as nothing."""
    if 0 < nano < LEAST:
        return f"<{_dollars(Decimal(LEAST) / NANO, 4, lang)}"
    return _dollars((Decimal(nano) / NANO).quantize(Decimal("0.0001"), ROUND_HALF_UP), 4, lang)


def rate(dollars: Decimal, lang: str = "") -> str:
    """A price in full: $3, $0.30, $0.075."""
    digits = -int(dollars.normalize().as_tuple().exponent)
    return _dollars(dollars, max(digits, 2) if digits > 0 else 0, lang)


def tokens(count: int, lang: str = "") -> str:
    """999, 12.3k, 1.23M."""
    if count < 1000:
        return str(count)
    # From here on the next unit: 999 950 would round to 1000.0k.
    if count < 999_950:
        thousands = (Decimal(count) / 1000).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
        return f"{decimal(thousands, 0 if thousands == int(thousands) else 1, lang)}k"
    return f"{decimal(Decimal(count) / 1_000_000, 2, lang)}M"


def size(count: int, lang: str = "") -> str:
    """Bytes in the largest unit that there is one of: 512 B, 1.2 kB."""
    for unit, symbol in SIZES:
        if count >= unit:
            return f"{decimal(Decimal(count) / unit, 1, lang)} {symbol}"
    return f"{count} B"


def length(seconds: int) -> str:
    """In its two largest units, without those that are nothing: 45 s, 2 min 5 s, 6 h, 3 d 4 h."""
    at = next((at for at, (unit, _) in enumerate(LENGTHS) if seconds >= unit), len(LENGTHS) - 1)
    (unit, symbol), *smaller = LENGTHS[at:]
    text = f"{seconds // unit} {symbol}"
    for less, name in smaller[:1]:
        rest = seconds % unit // less
        text += f" {rest} {name}" if rest else ""
    return text


def dated(moment: datetime, pattern: str, lang: str = "") -> str:
    """*moment*, on its own clock, as a pattern of CLDR says (UTS 35, part 4): 'd MMM y, HH:mm'."""
    from babel.dates import format_datetime

    # Babel would take a moment without a zone for one in UTC and move it.
    return format_datetime(moment.replace(tzinfo=None), pattern, locale=_locale(lang))


def plural(count: int, lang: str = "") -> str:
    """CLDR's category of a number: one, other, and in some languages more."""
    return str(_locale(lang).plural_form(count))


def cities(lang: str = "") -> dict[str, str]:
    """What a language calls the cities of time zones, where that is not the zone's own name: Wien: Europe/Vienna."""
    zones = _locale(lang).time_zones
    return {str(facts["city"]): str(zone) for zone, facts in zones.items() if "city" in facts}


def _dollars(amount: Decimal, places: int, lang: str) -> str:
    from babel.numbers import format_currency

    locale = _locale(lang)
    pattern = str(locale.currency_formats["standard"].pattern)
    pattern = pattern.replace(".00", "." + "0" * places if places else "")
    return format_currency(amount, "USD", format=pattern, locale=locale, currency_digits=False)


def _locale(lang: str) -> Locale:
    return _known(language_of(lang))


@cache
def _known(language: str) -> Locale:
    from babel import Locale

    return Locale.parse(language)
