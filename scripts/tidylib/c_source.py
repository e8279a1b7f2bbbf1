"""C and C++ as far as tidy needs them: includes, and where functions begin and end. No preprocessing, no types.

A function is what stands at file scope as `... name(parameters) ... {`. Both branches of an #if are read, each from the
state at the #if. Bodies of macros are not read.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//(?:\\\n|[^\n])*)
      | (?P<directive>(?:(?<=\n)|\A)[ \t]*\#(?:/\*.*?\*/|\\\n|[^\n])*)
      | (?P<raw>R"(?P<mark>[^(]*)\(.*?\)(?P=mark)")
      | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<word>[A-Za-z_]\w*)
      | (?P<sign>[{}();,=:\[\]])
      | (?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
DIRECTIVE = re.compile(r"\s*#\s*(\w+)")
ATTRIBUTES = {"__attribute__", "__declspec", "alignas", "_Alignas", "__asm__"}


@dataclass
class Function:
    name: str
    line: int  # of the first token of its declaration
    last: int  # of its closing brace
    parameters: int
    nesting: int  # blocks within blocks, the body itself not counted
    types: str = ""  # of the parameters, without their names: "struct pt *, iova_t"


@dataclass
class Scope:
    """What the reader knows between two tokens; copied at #if, so that #else starts from the same place."""

    head: list = field(default_factory=list)  # tokens since the last ; or } at file scope
    open: list = field(default_factory=list)  # one entry per open brace: "file", "body", "block" or "value"
    before: list = field(default_factory=list)  # per open parenthesis: the token before it
    group: str = ""  # the token before the parenthesis that was closed last
    start: tuple = ()  # name, line, parameter count and types of the function that is open
    deepest: int = 0

    def copy(self):
        return Scope(list(self.head), list(self.open), list(self.before), self.group, self.start, self.deepest)


def tokens(text):
    """Yields (kind, text, line) without comments; a directive is one token."""
    line, position = 1, 0
    for match in TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        if match.lastgroup == "mark" or match.lastgroup == "raw":
            yield "string", match.group(), line
        elif match.lastgroup != "comment":
            yield match.lastgroup, match.group(), line


def includes(text):
    """Yields (line, path, quoted) of every #include."""
    for kind, token, line in tokens(text):
        if kind == "directive":
            match = INCLUDE.match(token)
            if match:
                yield line, match.group(1) or match.group(2), match.group(1) is not None


def groups(head):
    """The parenthesised groups of a declaration that are not nested: [(index of the word before, tokens inside)]."""
    found, depth, begin = [], 0, 0
    for index, (_, token, _) in enumerate(head):
        if token == "(":
            if depth == 0:
                begin = index
            depth += 1
        elif token == ")" and depth > 0:
            depth -= 1
            if depth == 0:
                found.append((begin - 1, head[begin + 1 : index]))
    return found


def declared_function(head):
    """(name, line, parameter count, types) if the tokens before a { declare a function, else None."""
    texts = [token for _, token, _ in head]
    depth = 0
    for index, token in enumerate(texts):
        depth += (token in "([") - (token in ")]")
        if depth == 0 and token == ":" and ")" in texts[:index]:  # a constructor's initialisers
            head, texts = head[:index], texts[:index]
            break
        if depth == 0 and token == "=" and "operator" not in texts:
            return None
    candidates = [(at, inside) for at, inside in groups(head) if at >= 0 and texts[at] not in ATTRIBUTES]
    if not candidates:
        return None
    at, inside = candidates[-1]
    while at >= 0 and head[at][0] != "word":  # name(x)(parameters) and macros that make a name
        at -= 1
    if at < 0:
        return None
    return texts[at], head[0][2], count_parameters(inside), parameter_types(inside)


def count_parameters(inside):
    texts = [token for _, token, _ in inside]
    if texts in ([], ["void"]):
        return 0
    depth, count = 0, 1
    for token in texts:
        depth += (token in "([{") - (token in ")]}")
        count += token == "," and depth == 0
    return count


def parameter_types(inside):
    """The parameters without their names (the last word of each), as far as they are plain."""
    types, current = [], []
    for kind, token, _ in inside + [("sign", ",", 0)]:
        if token == ",":
            if len(current) > 1 and current[-1][0] == "word":
                current.pop()
            types.append(" ".join(text for _, text in current))
            current = []
        else:
            current.append((kind, token))
    return ", ".join(types)


def is_macro_call(head):
    """MACRO(...) and nothing else: a definition that needs no semicolon."""
    texts = [token for _, token, _ in head]
    return len(texts) > 2 and texts[0].isupper() and texts[1] == "(" and texts[-1] == ")" and len(groups(head)) == 1


def brace_in_body(scope, previous):
    """A { in a function: "value" in an initialiser, a compound literal and a C++ lambda, else "block"."""
    if previous == ")":  # if (...) { and FOR_EACH(...) {, but = (struct x){ and return (struct x){
        named = scope.group.isidentifier() and scope.group not in ("return", "sizeof", "case")
        return "block" if named else "value"
    return "value" if previous in ("=", ",", "(", "[", "]", "return") else "block"


def open_brace(scope, previous):
    """What a { opens. `previous` is the token before it."""
    inside = scope.open[-1] if scope.open else "file"
    if inside == "value":
        return "value"
    if inside in ("body", "block"):
        return brace_in_body(scope, previous)
    words = [token for kind, token, _ in scope.head if kind == "word"]
    if words[:1] in (["namespace"], ["extern"]) and not groups(scope.head):
        return "file"
    function = declared_function(scope.head)
    if function:
        scope.start, scope.deepest = function, 0
        return "body"
    aggregate = {"class", "struct", "union", "enum"} & set(words) and "=" not in [t for _, t, _ in scope.head]
    return "file" if aggregate and "enum" not in words else "value"


def step(scope, kind, token, line, previous):
    """Reads one token; returns a Function when it closes one."""
    at_file = not scope.open or scope.open[-1] == "file"
    if token == "(":
        scope.before.append(previous)
    elif token == ")" and scope.before:
        scope.group = scope.before.pop()
    if token == "{" and kind == "sign":
        opened = open_brace(scope, previous)
        scope.open.append(opened)
        if opened == "file":
            scope.head = []
        scope.deepest = max(scope.deepest, scope.open.count("block"))
    elif token == "}" and kind == "sign":
        closed = scope.open.pop() if scope.open else "file"
        if closed in ("file", "body"):
            scope.head = []
        if closed == "body":
            name, first, parameters, types = scope.start
            return Function(name, first, line, parameters, scope.deepest, types)
    elif at_file and token == ";" and kind == "sign":
        scope.head = []
    elif at_file:
        if kind == "word" and is_macro_call(scope.head) and line > scope.head[-1][2]:
            scope.head = []
        scope.head.append((kind, token, line))
    return None


def functions(text):
    """Yields every Function of a C or C++ file, in the order in which they end."""
    scope, saved, previous = Scope(), [], ""
    for kind, token, line in tokens(text):
        if kind == "directive":
            name = DIRECTIVE.match(token)
            name = name.group(1) if name else ""
            if name in ("if", "ifdef", "ifndef"):
                saved.append(scope.copy())
            elif name in ("else", "elif") and saved:
                scope = saved[-1].copy()
            elif name == "endif" and saved:
                saved.pop()
            continue
        function = step(scope, kind, token, line, previous)
        if function:
            yield function
        previous = token
