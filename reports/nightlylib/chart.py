"""A line chart with logarithmic axes, as coordinates for an inline SVG: what a page shows where no script draws it."""

import math

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 34


def size_text(shift):
    units = ["B", "K", "M", "G", "T"]
    return f"{1 << shift % 10}{units[shift // 10]}"


def log_log(series):
    """
    series: [{name, points: [(bytes, ns)], ...}], every value above 0. Returns what the template draws: the series with
    `spots`, and ticks of both axes.
    """
    xs = [math.log2(size) for each in series for size, _ in each["points"]]
    ys = [math.log10(ns) for each in series for _, ns in each["points"]]
    x_low, x_high = min(xs), max(max(xs), min(xs) + 1)
    y_low, y_high = math.floor(min(ys)), max(math.ceil(max(ys)), math.floor(min(ys)) + 1)

    def x(value):
        return round(LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def y(value):
        return round(HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    drawn = []
    for each in series:
        spots = [(x(math.log2(size)), y(math.log10(ns))) for size, ns in each["points"]]
        drawn.append({**each, "spots": spots})
    shifts = [shift for shift in range(math.ceil(x_low), math.floor(x_high) + 1) if shift % 3 == 0]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM,
        "lines": drawn,
        "x_ticks": [(x(shift), size_text(shift)) for shift in shifts],
        "y_ticks": [(y(power), f"{10**power:,}".replace(",", "\u202f")) for power in range(y_low, y_high + 1)],
    }
