"""A line chart with logarithmic axes, as coordinates for an inline SVG."""

import math

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 80, 12, 34


def size_text(shift):
    units = ["B", "K", "M", "G", "T"]
    return f"{1 << shift % 10}{units[shift // 10]}"


def log_log(title, lines):
    """
    lines: {name: [(bytes, ns)]}, every value above 0. Returns what the template draws: polylines with their names at
    the right end, ticks of both axes.
    """
    xs = [math.log2(size) for points in lines.values() for size, _ in points]
    ys = [math.log10(ns) for points in lines.values() for _, ns in points]
    x_low, x_high = min(xs), max(max(xs), min(xs) + 1)
    y_low, y_high = math.floor(min(ys)), max(math.ceil(max(ys)), math.floor(min(ys)) + 1)

    def x(value):
        return round(LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def y(value):
        return round(HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    drawn = []
    for name, points in lines.items():
        spots = [(x(math.log2(size)), y(math.log10(ns))) for size, ns in points]
        texts = [f"{size_text(round(math.log2(size)))}: {ns:,.3g} ns" for size, ns in points]
        drawn.append({"name": name, "spots": list(zip(spots, texts)), "end": spots[-1]})
    separate_ends(drawn)
    shifts = [shift for shift in range(math.ceil(x_low), math.floor(x_high) + 1) if shift % 3 == 0]
    return {
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM,
        "lines": drawn,
        "x_ticks": [(x(shift), size_text(shift)) for shift in shifts],
        "y_ticks": [(y(power), f"{10**power:,}".replace(",", "\u202f")) for power in range(y_low, y_high + 1)],
    }


def separate_ends(drawn, gap=16):
    """Names at the ends of lines do not overlap: push the lower ones down."""
    floor = None
    for line in sorted(drawn, key=lambda each: each["end"][1]):
        end_x, end_y = line["end"]
        if floor is not None and end_y < floor + gap:
            end_y = floor + gap
        line["end"] = (end_x, end_y)
        floor = end_y
