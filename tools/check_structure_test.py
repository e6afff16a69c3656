#!/usr/bin/env python3
"""Plants one violation of each rule of check_structure.py in a small tree and expects it, and only it.

A check that lets a planted violation through is broken, and so is one that objects to the clean tree.
"""

import subprocess
import tempfile
import unittest
from pathlib import Path

import check_structure

CMAKE = """# The rooms.
weft_room(base LIBRARIES fmt::fmt)
weft_room(kernel ROOMS base LIBRARIES dnnl_library)
weft_room(engine ROOMS base
  kernel)
weft_room(cluster ROOMS base engine)
weft_room(net ROOMS base cluster)
weft_room(sim ROOMS base cluster)
weft_room(app ROOMS base engine cluster net sim)
"""

ARCHITECTURE = """# Architecture
| room | what |
|---|---|
| `base/` | ground |
| `kernel/` | math |
| `engine/` | runs |
| `cluster/` | rules |
| `net/` | wire |
| `sim/` | virtual wire |
| `app/` | main |
"""

HEADER = "#pragma once\n// Thing: what it is.\n"

# What each absence is about, used where it is allowed: nothing here is a violation.
CLEAN = {
    "src/CMakeLists.txt": CMAKE,
    "ARCHITECTURE.md":
        ARCHITECTURE + "\nA [link](https://" + "x" * 200 + "), [another](docs/a.md#part)\n| " + "x" * 200 + " |\n",
    "src/base/clock.cc": '#include "base/clock.h"\n\n#include <ctime>\n'
                         "void Rest() { std::this_thread::sleep_for(std::chrono::seconds(1)); }\n"
                         "long Now() { return std::time(nullptr); }\n",
    "src/base/clock.h": HEADER + "#include <thread>\nextern std::thread worker;\n",
    "src/base/rng.cc": "#include <random>\n",
    "src/kernel/conv.cc": '#include "base/clock.h"\n#include "oneapi/dnnl/dnnl.hpp"\n',
    "src/engine/engine.cc": '#include "kernel/conv.h"\n#include <thread>\nstd::jthread thread;\n',
    "src/cluster/worker.cc":
        "// std::thread, sleep_for(1) and std::mt19937 in a comment\n/* grpc::Status\n rand() */\n"
        'const char* text = "std::thread \\" time(nullptr)";\nconst char* raw = R"x(std::async rand())x";\n'
        "int64_t operand(int i);  double uptime(double*);  int n = 1'000'000;  char quote = '\"';\n"
        "unsigned cores = std::thread::hardware_concurrency();  double time() const;\n",
    "src/cluster/worker_test.cc": '#include "kernel/conv.h"\n#include "cluster/worker.h"\n',
    "src/net/server.cc": '#include <grpcpp/grpcpp.h>\n#include "weft.pb.h"\ngoogle::protobuf::Arena arena;\n',
    "src/app/main.cc": '#include "net/server.h"\nvoid Run() { Drive(base::SystemClock()); }\n',
    "lab/relay.cc": "long Now() { return std::chrono::steady_clock::now(); }\n",
    "src/model/presets/note.txt": "not code, no room\n",
    "build/release/generated.h": "int x;  // std::thread, no pragma\n",
    "docs/a.md": "See [it](../ARCHITECTURE.md), `base/clock.h`, (kernel/conv.cc) and fmt/format.h.\n",
    "examples/demo.toml": 'train = "idx:../shared/data"\nout = "runs/home/x"\n',
}

# rule, file, its text, the line it must be reported at (with a path if that is another file's).
PLANTS = [
    ("rooms", "src/base/a.cc", '#include "base/b.h"\n#include "kernel/conv.h"\n', 2),
    ("rooms", "src/cluster/a.cc", '#include "kernel/conv.h"\n', 1),  # above, but not named
    ("rooms", "src/sim/a.cc", '#include "net/server.h"\n', 1),
    ("rooms", "src/engine/a.cc", "#include <cluster/worker.h>\n", 1),
    ("rooms", "src/engine/a_test.cc", '#include "cluster/worker.h"\n', 1),
    ("rooms", "src/base/a.cc", '#include "clock.h"\n', 1),
    ("rooms", "src/CMakeLists.txt", CMAKE.replace("ROOMS base LIBRARIES", "ROOMS base sim LIBRARIES"), 3),
    ("rooms", "src/CMakeLists.txt", CMAKE + "weft_room(web ROOMS base)\n", "ARCHITECTURE.md:1"),
    ("rooms", "src/codec/a.cc", "int a;\n", "src/CMakeLists.txt:1"),
    ("rooms", "ARCHITECTURE.md", ARCHITECTURE.replace("`sim/`", "`lab/`"), 1),
    ("header", "src/base/a.h", "// Thing: what it is.\n#pragma once\n", 1),
    ("header", "src/base/a.h", "#pragma once\n\n#include <string>\n", 2),
    ("header", "src/base/a.h", "#pragma once\n// thing\n", 2),
    ("clock", "src/engine/a.cc", "\nauto now = std::chrono::steady_clock::now();\n", 2),
    ("clock", "src/cluster/a.cc", "int f() { return time(nullptr); }\n", 1),
    ("clock", "src/cluster/a.cc", "#include <ctime>\n", 1),
    ("sleep", "src/cluster/a_test.cc", "void f() { usleep(1); }\n", 1),
    ("sleep", "tests/a.cc", "std::this_thread::sleep_for(second);\n", 1),
    ("sleep", "src/engine/a.cc", "cv.wait_for(lock, second);\n", 1),
    ("clock_source", "src/cluster/a.cc", "auto& clock = base::SystemClock();\n", 1),
    ("clock_source", "src/engine/a.cc", "clock->SleepFor(second);\n", 1),
    ("random", "src/engine/a.cc", "int f() { return rand(); }\n", 1),
    ("random", "src/base/a.cc", "std::mt19937 generator;\n", 1),
    ("random", "src/net/a.cc", "int f() { return std::rand(); }\n", 1),
    ("random", "tests/a_test.cc", "std::random_device device;\n", 1),
    ("thread", "src/cluster/a.cc", "std::thread thread(f);\n", 1),
    ("thread", "src/app/a.cc", "auto later = std::async(f);\n", 1),
    ("thread", "src/kernel/a.cc", "std::vector<std::jthread> threads;\n", 1),
    ("protobuf", "src/cluster/a.h", HEADER + "#include <google/protobuf/message.h>\n", 3),
    ("protobuf", "src/app/a.cc", "grpc::Status status;\n", 1),
    ("protobuf", "src/sim/a.cc", '#include "weft.grpc.pb.h"\n', 1),
    ("onednn", "src/engine/a.cc", '#include <oneapi/dnnl/dnnl.hpp>\n', 1),
    ("onednn", "src/engine/a.cc", "cblas_sgemm(a);\n", 1),
    ("unfinished", "src/base/a.cc", "int a;\n// TODO: more\n", 2),
    ("unfinished", "docs/a.md", "FIXME\n", 1),
    ("unfinished", "scripts/go", "#!/bin/bash\n# XXX\n", 2),
    ("size", "src/base/a.cc", "int a();\n" * 601, 601),
    ("size", "tools/a.py", "a = 1\n" * 601, 601),
    ("path", "src/base/a.cc", 'const char* kPath = "/home/someone/weft";\n', 1),
    ("path", "docs/a.md", "Run /home/ann/weft/scripts/test.\n", 1),
    ("columns", "tools/a.py", "a = 1  # " + "x" * 120 + "\n", 1),
    ("columns", "docs/a.md", "\n\n" + "word " * 30 + "\n", 3),
    ("document", "docs/a.md", "\n[gone](ARCHITECTURE.md)\n", 2),
    ("document", "docs/a.md", "`Now` (base/clocks.h)\n", 1),
]


def violations(files, allowed=None, with_git=False):
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        if with_git:
            subprocess.run(["git", "init", "-q", folder], check=True)
        return check_structure.check(folder, allowed or {})


class StructureTest(unittest.TestCase):
    def test_clean_tree_passes(self):
        self.assertEqual(violations(CLEAN), [])

    def test_each_plant_is_caught_where_it_stands(self):
        for rule, path, text, line in PLANTS:
            with self.subTest(rule=rule, path=path, text=text[:60]):
                found = [(v.rule, f"{v.path}:{v.line}") for v in violations(CLEAN | {path: text})]
                place = line if isinstance(line, str) else f"{path}:{line}"
                self.assertEqual(found, [(rule, place)])

    def test_every_rule_has_a_plant(self):
        rules = {absence.rule for absence in check_structure.ABSENCES}
        rules |= {"rooms", "header", "unfinished", "size", "path", "columns", "document"}
        self.assertEqual({plant[0] for plant in PLANTS}, rules)

    def test_message_names_place_and_way_out(self):
        found = violations(CLEAN | {"src/cluster/a.cc": "std::thread thread;\n"})
        self.assertEqual(str(found[0]),
                         "src/cluster/a.cc:1: [thread] `std::thread` starts a thread; want the work handed "
                         "to base, as only base, engine, net and dashboard may")

    def test_allowed_file_passes_and_needless_entry_fails(self):
        tree = CLEAN | {"src/cluster/a.cc": "std::thread thread;\n"}
        self.assertEqual(violations(tree, {("thread", "src/cluster/a.cc"): "why"}), [])
        found = violations(CLEAN, {("thread", "src/cluster/a.cc"): "why"})
        self.assertEqual([violation.rule for violation in found], ["allowed"])

    def test_no_room_list_is_a_violation(self):
        self.assertEqual([violation.rule for violation in violations({"README.md": "x\n"})], ["rooms"])

    def test_git_ignored_files_are_not_looked_at(self):
        tree = CLEAN | {".gitignore": "/mine/\n/build/\n", "mine/a.cc": "std::thread thread;\n"}
        self.assertEqual(violations(tree, with_git=True), [])
        self.assertEqual(len(violations(tree)), 1)


if __name__ == "__main__":
    unittest.main()
