"""Numbers, sizes and names as a reader wants them."""

import re

THIN = "\u202f"  # a narrow blank that no line is broken at
SIZES = {"K": 10, "M": 20, "G": 30, "T": 40}


def number(value, digits=3):
    """Three digits of what is not whole, all digits of what is, thousands apart: 0.490, 25.3, 180, 186 925."""
    if value is None:
        return "n/a"
    if float(value).is_integer() or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace(",", THIN)
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:,.{digits - whole}f}".replace(",", THIN)


def percent(change):
    """A change with its sign: +12 %; nothing has both signs."""
    if change is None:
        return ""
    text = f"{change:+.0%}".replace("%", f"{THIN}%").replace("-", "\u2212")
    return f"\u00b1{text[1:]}" if text[1:] == f"0{THIN}%" else text


def share(value):
    """A part of the whole, as exact as it must be to tell it from all and from nothing: 65 %, 99.8 %, 0.2 %."""
    if value is None:
        return "n/a"
    hundred = 100 * value
    edge = min(hundred, 100 - hundred)
    digits = 0 if edge >= 1 or edge <= 0 else 1 if edge >= 0.095 else 2
    return f"{hundred:.{digits}f}{THIN}%"


def bytes_text(value):
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if value >= 1 << shift:
            return f"{number(value / (1 << shift))}{THIN}{unit}"
    return f"{value:.0f}{THIN}B"


def nanoseconds(value):
    """A time with the unit that keeps it short: 25.3 ns, 54.1 us, 1.20 ms: three digits."""
    for scale, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "\u00b5s")):
        if value >= scale:
            return f"{number(value / scale)}{THIN}{unit}"
    return f"{number(value)}{THIN}ns"


def seconds(value):
    return nanoseconds(value * 1e9)


def plural(count, one, many=None):
    """'1 case', '2 cases', 'no cases'."""
    return f"{number(count) if count else 'no'} {one if count == 1 else many or one + 's'}"


def both(words):
    """'a', 'a and b', 'a, b and c'."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def day(moment):
    """'2026-01-31 02:00' of an ISO 8601 text."""
    return moment[:16].replace("T", " ")


def size_of(text):
    """'2M' -> 2^21; 0 for what is no size."""
    match = re.fullmatch(r"(\d+)([KMGT])", text)
    return int(match[1]) << SIZES[match[2]] if match else 0


def label(key):
    return key.replace("_", " ").replace(".", ": ")
