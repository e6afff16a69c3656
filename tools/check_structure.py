#!/usr/bin/env python3
"""Checks what no compiler does: the order of the rooms, the absences, and how files look.

usage: check_structure.py [ROOT]      (ROOT: the project's folder; default: the one this file is in)

The order of the rooms is read from src/CMakeLists.txt: a room is a `weft_room` line, and the rooms
it names must stand above it. Prints one line a violation, `path:line: [rule] reason`, and exits 1
if there is any. tools/check_structure_test.py plants one of each and expects it to be caught.
Python 3, standard library only.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Absence(NamedTuple):
    """Something that C++ code holds only in the named places (beginnings of paths)."""
    rule: str
    pattern: re.Pattern
    places: tuple
    reason: str


class Violation(NamedTuple):
    path: str
    line: int
    rule: str
    reason: str

    def __str__(self):
        return f"{self.path}:{self.line}: [{self.rule}] {self.reason}"


# Searched in code without comments; strings are blanked too, except the names in #include lines.
ABSENCES = [
    Absence("clock", re.compile(
        r"\b(steady|system|high_resolution|utc|file)_clock\b|\b(clock_gettime|gettimeofday|timerfd_create|setitimer)\b"
        r"|\btime\s*\(\s*(nullptr|NULL|0|&\w+)\s*\)|\bstd::clock\b|#\s*include\s*<(ctime|time\.h|sys/time\.h)>"),
        ("src/base/", "src/net/", "lab/"),
        "reads a real clock; want a TimePoint handed in, as only base, net and lab may"),
    Absence("sleep", re.compile(
        r"\b(sleep_for|sleep_until|usleep|nanosleep|wait_for|wait_until)\b|(?<![\w.>])sleep\s*\("),
        ("src/base/", "src/net/", "lab/"),
        "sleeps or waits by the clock; want base::BoundedQueue::PopFor or a deadline, as only base, "
        "net and lab may"),
    Absence("clock_source", re.compile(r"\b(SystemClock|ThreadCpuNow)\s*\(|\bWallTimeUtc\s*\(|(\.|->)SleepFor\s*\("),
        ("src/base/", "src/net/", "src/app/", "lab/", "tests/", "bench/"),
        "takes the real clock for itself; want a Clock or TimePoint handed in by app"),
    Absence("random", re.compile(
        r"#\s*include\s*<random>|\b(random_device|mt19937(_64)?|minstd_rand0?|default_random_engine|random_shuffle)\b"
        r"|\bstd::(shuffle|sample)\b|(?<![\w.>])s?rand\s*\(|\b(drand48|arc4random|getrandom|RAND_bytes)\b"),
        ("src/base/rng.",),
        "draws random numbers; want base/rng.h, so that a run can be replayed from its seed"),
    # std::thread::hardware_concurrency and std::thread::id start nothing.
    Absence("thread", re.compile(
        r"\bstd::j?thread\b(?!\s*::)|\bstd::async\b|\bpthread_create\b|\bthrd_create\b"),
        ("src/base/", "src/engine/", "src/net/", "src/dashboard/"),
        "starts a thread; want the work handed to base, as only base, engine, net and dashboard may"),
    Absence("protobuf", re.compile(
        r"#\s*include\s*[<\"](google/protobuf|grpc|[^\">]*\.pb\.h)|\bgrpc::|\bgoogle::protobuf\b"),
        ("src/net/",),
        "sees protobuf or gRPC; want cluster/message.h, as only net knows the wire"),
    Absence("onednn", re.compile(r"#\s*include\s*[<\"][^\">]*(dnnl|cblas|openblas)|\bdnnl(::|_)|\bcblas_"),
        ("src/kernel/",),
        "sees oneDNN or BLAS; want kernel/backend.h, as only kernel knows them"),
]

# Files that break a rule for a reason: {(rule, path): reason}. An entry nothing needs is a violation.
ALLOWED = {
    ("clock_source", "src/engine/prepare_bench.cc"): "a benchmark, which hands the clock in as app does",
    ("path", "tools/check_structure_test.py"): "plants such paths to see them caught",
    ("unfinished", "tools/check_structure_test.py"): "plants such marks to see them caught",
}

MAX_LINES = 600
MAX_COLUMNS = 120  # C++ has 100, by clang-format (scripts/format --check)
CPP = (".h", ".cc")
# Of code, what people lay out by hand.
HAND_LAID = (".py", ".sh", ".cmake", ".proto", ".js", ".css", ".html", ".toml", ".md", ".c")
TEXT = CPP + HAND_LAID + (".json", ".svg", ".txt", ".yml", ".yaml")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(home|root|Users|work|mnt)/[\w.]")
INCLUDE = re.compile(r"^\s*#\s*include\s*([<\"])([^\">]+)[\">]")
COMMENTS = r"//[^\n]*|/\*.*?\*/"
STRINGS = (r"R\"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)\"|\"(?:\\.|[^\"\\\n])*\""
           r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'")
TOKENS = re.compile(f"(?P<comment>{COMMENTS})|(?P<string>{STRINGS})", re.S)


def code_only(text):
    """C++ without comments and string contents, line for line; #include lines keep their name."""
    def blank(match):
        token = match.group()
        line_start = text.rfind("\n", 0, match.start()) + 1
        if match.group("string") and re.match(r"\s*#\s*include\b", text[line_start:match.start()]):
            return token
        return " " + "\n" * token.count("\n")
    return TOKENS.sub(blank, text)


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def list_files(root):
    """What git knows or would add; without git, everything that is not built."""
    listing = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"],
                             capture_output=True, text=True) if (root / ".git").exists() else None
    if listing and listing.returncode == 0:
        paths = listing.stdout.splitlines()
    else:
        paths = [str(path.relative_to(root)) for path in root.rglob("*")]
    skipped = re.compile(r"(^|/)(build|runs|\.git|__pycache__|corpus)/")
    return sorted(path for path in paths if not skipped.search(path) and (root / path).is_file())


def kind_of(path, text):
    """The ending that says how a file is checked; "" for what is not looked into."""
    name = path.rsplit("/", 1)[-1]
    if name == "CMakeLists.txt":
        return ".cmake"
    for ending in TEXT:
        if name.endswith(ending):
            return ending
    return ".sh" if text.startswith("#!") else ""


def read_rooms(cmake):
    """[(name, rooms it names, line)] in order."""
    rooms = []
    for match in re.finditer(r"^\s*weft_room\((\w+)([^)]*)\)", cmake, re.M):
        named = re.search(r"\bROOMS\b(.*?)(\b(TEST_)?LIBRARIES\b|$)", match.group(2), re.S)
        line = cmake.count("\n", 0, match.start(1)) + 1
        rooms.append((match.group(1), named.group(1).split() if named else [], line))
    return rooms


def check_room_list(rooms, files, architecture):
    """The list itself: only earlier rooms are named, every folder is a room, the document agrees."""
    seen = []
    for name, named, line in rooms:
        for other in named:
            if other not in seen:
                yield Violation("src/CMakeLists.txt", line, "rooms",
                                f"{name} names {other}, which does not stand above it")
        seen.append(name)
    for folder in sorted({room_of(path) for path in files if path.endswith(CPP)} - {None} - set(seen)):
        yield Violation("src/CMakeLists.txt", 1, "rooms", f"src/{folder} has no weft_room line")
    if architecture is not None:
        documented = re.findall(r"^\|\s*`(\w+)/`", architecture, re.M)
        if [name for name in documented if name in seen] != seen:
            yield Violation("ARCHITECTURE.md", 1, "rooms",
                            f"its table of rooms says {' '.join(documented)}, "
                            f"src/CMakeLists.txt says {' '.join(seen)}")


def check_includes(path, code, rooms):
    """A room includes itself and the rooms it names; its tests also any room above it."""
    room = room_of(path)
    names = [name for name, _, _ in rooms]
    if room not in names:
        return
    allowed = {room, *rooms[names.index(room)][1]}
    if re.search(r"_(test|bench|fuzz)\.cc$", path):
        allowed.update(names[:names.index(room)])
    for number, line in enumerate(code.split("\n"), 1):
        match = INCLUDE.match(line)
        if not match or match.group(2).endswith(".pb.h"):  # those are the rule protobuf's
            continue
        other = match.group(2).split("/")[0] if "/" in match.group(2) else None
        if other in names and other not in allowed:
            where = "below" if names.index(other) > names.index(room) else "above"
            fix = "turn the dependency round" if where == "below" else \
                f"name it in src/CMakeLists.txt if {room} should see it"
            yield Violation(path, number, "rooms",
                            f"{room} includes {other}, a room {where} it that it does not name; {fix}")
        elif match.group(1) == '"' and other is None:
            yield Violation(path, number, "rooms",
                            f'got "{match.group(2)}", want "room/file.h" (or <...> for outside libraries)')


def check_header(path, text):
    lines = text.split("\n")
    if lines[0] != "#pragma once":
        yield Violation(path, 1, "header", f"got {lines[0]!r}, want #pragma once on the first line")
        return
    comment = []
    for line in lines[1:]:
        if not line.startswith("//"):
            break
        comment.append(line[2:].strip())
    if not re.search(r"\w.*[.:](\s|$)", " ".join(comment)):
        yield Violation(path, 2, "header",
                        "want a comment under #pragma once whose first sentence says what the thing is")


def check_absences(path, code):
    for absence in ABSENCES:
        if path.startswith(absence.places):
            continue
        for number, line in enumerate(code.split("\n"), 1):
            match = absence.pattern.search(line)
            if match:
                yield Violation(path, number, absence.rule, f"`{match.group().strip()}` {absence.reason}")


def check_text(path, kind, text):
    lines = text.split("\n")
    if kind in CPP + HAND_LAID and kind != ".md" and len(lines) - 1 > MAX_LINES:
        yield Violation(path, MAX_LINES + 1, "size",
                        f"got {len(lines) - 1} lines, want at most {MAX_LINES}; split it by subject")
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield Violation(path, number, "unfinished",
                            f"`{UNFINISHED.search(line).group()}`: finish it, or open an issue and say so in docs/")
        if MACHINE_PATH.search(line):
            yield Violation(path, number, "path",
                            f"`{MACHINE_PATH.search(line).group()}` is a path of one machine; want a relative one")
        # A row of a table and a link cannot be broken.
        unbreakable = kind == ".md" and (line.startswith("|") or "](" in line or "://" in line)
        if kind in HAND_LAID and len(line) > MAX_COLUMNS and not unbreakable:
            yield Violation(path, number, "columns", f"got {len(line)} columns, want at most {MAX_COLUMNS}")


def check_document(root, path, text, names):
    """Links lead somewhere, and source files that are spoken of (room/file.h) exist."""
    sources = re.compile(r"(?<![\w/])(?:" + "|".join(names) + r")/[\w/]+\.(?:h|cc)\b")
    for number, line in enumerate(text.split("\n"), 1):
        targets = [(link, (root / path).parent / link) for link in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", line)]
        targets += [(source, root / "src" / source) for source in sources.findall(line)] if names else []
        for target, place in targets:
            if not place.exists():
                yield Violation(path, number, "document", f"{target} does not exist")


def check(root, allowed):
    """All violations of a tree. `allowed` as ALLOWED."""
    root = Path(root)
    files = list_files(root)
    cmake = root / "src/CMakeLists.txt"
    rooms = read_rooms(cmake.read_text()) if cmake.exists() else []
    found = []
    if not rooms:
        found.append(Violation("src/CMakeLists.txt", 1, "rooms", "got no weft_room line"))
    architecture = root / "ARCHITECTURE.md"
    found += check_room_list(rooms, files, architecture.read_text() if architecture.exists() else None)
    for path in files:
        text = (root / path).read_text(errors="replace")
        kind = kind_of(path, text)
        if not kind:
            continue
        found += check_text(path, kind, text)
        if kind == ".md":
            found += check_document(root, path, text, [name for name, _, _ in rooms])
        if kind == ".h" and not path.startswith("firmware/"):
            found += check_header(path, text)
        if kind in CPP:
            code = code_only(text)
            found += check_includes(path, code, rooms)
            found += check_absences(path, code)
    kept = [violation for violation in found if (violation.rule, violation.path) not in allowed]
    used = {(violation.rule, violation.path) for violation in found}
    for rule, path in sorted(set(allowed) - used):
        kept.append(Violation(path, 1, "allowed", f"no longer breaks the rule {rule}; take it off ALLOWED"))
    return kept


def main(arguments):
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    violations = check(root, ALLOWED)
    for violation in violations:
        print(violation)
    print(f"{len(violations)} violations in {len(list_files(root))} files")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
