"""A flamegraph: what `perf script` printed, folded into stacks, drawn as an SVG of its own. No script, no reference."""

import colorsys
import re
from xml.sax.saxutils import escape

WIDTH = 1200
ROW = 18
MARGIN = 10
HEADER = 44
LETTER = 6.6  # width of a character, 11px monospace
LEAST_WIDTH = 0.4  # narrower frames are left out

# Warm hues of one lightness, so that black letters are readable on them whatever is behind the picture. Every rule is
# of .flame: the picture may stand inside a page.
STYLE = """
  .flame { color-scheme: light dark; font: 11px ui-monospace, Menlo, Consolas, monospace }
  .flame text { fill: #1a1a1a }
  .flame rect { stroke: #fff; stroke-width: .6 }
  .flame g:hover > rect { stroke: #000; stroke-width: 1.2 }
  .flame .flame-title { font-size: 13px }
  .flame .flame-note { fill: #555 }
  @media (prefers-color-scheme: dark) {
    .flame .flame-title { fill: #eee }
    .flame .flame-note { fill: #aaa }
    .flame rect { stroke: #222 }
    .flame g:hover > rect { stroke: #fff }
  }
"""
FRAME = re.compile(r"^\s+[0-9a-f]+ (.*?)(?: \(([^()]*)\))?$")
OFFSET = re.compile(r"\+0x[0-9a-f]+$")


def fold(text):
    """{(outermost, ..., innermost): samples} of `perf script -F ip,sym,dso` or fuller. Frames without a name are left out."""
    stacks, frames = {}, None
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if frames:
                stack = tuple(reversed(frames))
                stacks[stack] = stacks.get(stack, 0) + 1
            frames = None
        elif match := FRAME.match(line):
            frames = frames if frames is not None else []
            name = OFFSET.sub("", match[1]).strip()
            if name and name != "[unknown]":
                frames.append(name)
        else:
            frames = []  # the line that begins a sample
    return stacks


def within(stacks, ending):
    """The stacks that pass through a function whose name ends so, from there on."""
    inside = {}
    for stack, samples in stacks.items():
        at = next((index for index, name in enumerate(stack) if name.endswith(ending)), None)
        if at is not None:
            inside[stack[at:]] = inside.get(stack[at:], 0) + samples
    return inside


def without_recursion(stack):
    """A function that calls itself is one frame: the depth of a table walk says nothing here."""
    return tuple(name for index, name in enumerate(stack) if index == 0 or stack[index - 1] != name)


class Node:
    def __init__(self, name):
        self.name = name
        self.samples = 0
        self.children = {}

    def add(self, stack, samples):
        self.samples += samples
        if stack:
            child = self.children.setdefault(stack[0], Node(stack[0]))
            child.add(stack[1:], samples)

    def depth(self):
        return 1 + max((child.depth() for child in self.children.values()), default=0)


def tree(stacks, root):
    top = Node(root)
    for stack, samples in sorted(stacks.items()):
        top.add(without_recursion(stack), samples)
    return top


def colour(name):
    """The same for the same name in every picture."""
    value = 0
    for letter in name:
        value = (value * 31 + ord(letter)) & 0xFFFFFF
    hue, lightness, saturation = 12 + value % 43, 66 + value // 997 % 9, 70 + value // 43 % 20
    red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def short(name, width):
    letters = int((width - 6) / LETTER)
    if letters < 3:
        return ""
    return name if len(name) <= letters else name[: letters - 1] + "\u2026"


class Picture:
    """Frames as SVG elements, the root at the bottom."""

    def __init__(self, root):
        self.total = root.samples
        self.depth = root.depth()
        self.scale = (WIDTH - 2 * MARGIN) / self.total
        self.height = HEADER + self.depth * ROW + MARGIN
        self.lines = []
        self.draw(root, MARGIN, 0)

    def draw(self, node, left, level):
        """One frame, and above it what it called: siblings by name, as in every flamegraph."""
        width = node.samples * self.scale
        if width < LEAST_WIDTH:
            return
        top = HEADER + (self.depth - 1 - level) * ROW
        about = f"{node.name}: {node.samples} samples, {node.samples / self.total:.1%}"
        label = short(node.name, width)
        text = f'<text x="{left + 3:.1f}" y="{top + 12.5}">{escape(label)}</text>' if label else ""
        frame = f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 1}" rx="1" fill="{colour(node.name)}"/>'
        self.lines.append(f"<g><title>{escape(about)}</title>{frame}{text}</g>")
        for _, child in sorted(node.children.items()):
            self.draw(child, left, level + 1)
            left += child.samples * self.scale


def svg(stacks, root, title, note):
    """The picture as text. `root` names the lowest frame; stacks must hold at least one sample."""
    picture = Picture(tree(stacks, root))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flame" viewBox="0 0 {WIDTH} {picture.height}" width="100%" '
        f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">',
        f"<style>{STYLE}</style>",
        f'<text class="flame-title" x="{MARGIN}" y="18">{escape(title)}</text>',
        f'<text class="flame-note" x="{MARGIN}" y="35">{escape(note)}</text>',
        *picture.lines,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
