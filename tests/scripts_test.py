#!/usr/bin/env python3
"""Tests the commands under scripts/ in a copy of them, with stand-ins for apt, cmake, ninja and ctest.

Each stand-in appends its name and arguments to a log, so a test sees what would have been done.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

STAND_INS = {
    # Says "installed" of every package but those in $MISSING, like dpkg-query -W -f ...
    "dpkg-query": 'shift 3; for p; do [[ " $MISSING " == *" $p "* ]] || echo "$p installed"; done',
    "id": 'echo "${FAKE_UID:-0}"',
    "sudo": '[[ ${SUDO:-no} == yes ]] || exit 1; shift; [[ $1 == true ]] || { log; "$@"; }',
    "apt-cache": '[[ ${APT_LISTS:-fresh} == fresh ]]',
    "apt-get": 'log; [[ " $APT_FAILS " != *" $1 "* ]]',
    "cmake": 'if [[ $1 == --list-presets ]]; then echo "\\"release\\" - What users run"; exit; fi; log; '
             'mkdir -p build/release && touch build/release/build.ninja',
    "ninja": 'log; exit "${NINJA_STATUS_CODE:-0}"',
    "ctest": 'log; [[ " $CTEST_FAILS " != *" $3 "* ]]',
}


class ScriptsTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.project = self.folder / "a project"  # a path with a blank in it must do
        shutil.copytree(PROJECT / "scripts", self.project / "scripts")
        shutil.copy(PROJECT / "CMakePresets.json", self.project)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.log = self.folder / "log"
        for name, body in STAND_INS.items():
            self.write_program(self.bin / name, f'log() {{ echo "{name} $*" >>"$LOG"; }}\nset -- "$@"\n'
                               + body.replace("log;", 'log "$@";'))

    def write_program(self, path, body):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/bash\n" + body + "\n")
        path.chmod(0o755)

    def run_script(self, name, *arguments, **environment):
        """(exit status, stdout, stderr, what the stand-ins were asked), run from another folder."""
        self.log.write_text("")
        clean = {"PATH": f"{self.bin}:/usr/bin:/bin", "LOG": str(self.log), "HOME": str(self.folder)}
        done = subprocess.run([self.project / "scripts" / name, *arguments], capture_output=True, text=True,
                              cwd=self.folder, env=clean | environment)
        return done.returncode, done.stdout, done.stderr, self.log.read_text().splitlines()

    def test_each_script_explains_itself(self):
        for name in ["setup", "build", "demo", "test", "format"]:
            status, out, _, asked = self.run_script(name, "-h", MISSING="cmake")
            self.assertEqual((status, asked), (0, []), name)
            self.assertTrue(out.startswith(f"usage: scripts/{name}"), out)

    def test_bad_arguments_are_usage_errors(self):
        for name, argument in [("setup", "now"), ("build", "-x"), ("build", "-jmany"), ("build", "fast"),
                               ("format", "--chek")]:
            status, _, err, asked = self.run_script(name, argument)
            self.assertEqual((status, asked), (2, []), (name, argument))
            self.assertIn(f"scripts/{name}: ", err)

    def test_package_list_gives_each_name_once_with_a_reason(self):
        lines = [line for line in (PROJECT / "scripts/packages").read_text().splitlines()
                 if line and not line.startswith("#")]
        names = [line.split()[0] for line in lines]
        self.assertEqual(len(names), len(set(names)))
        for line in lines:
            self.assertRegex(line, r"^[a-z0-9.+-]+ +\S+")

    def test_setup_is_silent_when_nothing_is_missing(self):
        self.assertEqual(self.run_script("setup"), (0, "", "", []))

    def test_setup_installs_exactly_what_is_missing_as_root(self):
        status, _, _, asked = self.run_script("setup", MISSING="cmake libfmt-dev")
        self.assertEqual(status, 0)
        self.assertEqual(len(asked), 1, asked)
        self.assertRegex(asked[0], r"^apt-get install -y --no-install-recommends .* cmake libfmt-dev$")

    def test_setup_fetches_package_lists_first_where_there_are_none(self):
        status, _, _, asked = self.run_script("setup", MISSING="cmake", APT_LISTS="none")
        self.assertEqual(status, 0)
        self.assertEqual([line.split()[1] for line in asked], ["update", "install"])

    def test_setup_fetches_package_lists_again_when_they_are_too_old(self):
        status, _, err, asked = self.run_script("setup", MISSING="cmake", APT_FAILS="install")
        self.assertEqual(status, 69)
        self.assertEqual([line.split()[1] for line in asked], ["install", "update", "install"])
        self.assertIn("could not install all of: cmake", err)

    def test_setup_uses_sudo_where_it_may(self):
        status, _, _, asked = self.run_script("setup", MISSING="cmake", FAKE_UID="1000", SUDO="yes")
        self.assertEqual(status, 0)
        self.assertRegex(asked[0], r"^sudo env DEBIAN_FRONTEND=noninteractive apt-get install")

    def test_setup_prints_the_command_where_it_may_not_install(self):
        status, out, err, asked = self.run_script("setup", MISSING="cmake g++", FAKE_UID="1000")
        self.assertEqual((status, out, asked), (69, "", []))
        self.assertIn("  sudo apt-get update && sudo apt-get install --no-install-recommends g++ cmake\n", err)

    def test_build_configures_once_and_hands_targets_to_ninja(self):
        status, _, _, asked = self.run_script("build", "-j", "3", "release", "weft")
        self.assertEqual(status, 0)
        self.assertEqual(asked, ["cmake --preset release --log-level=NOTICE", "ninja -C build/release -j 3 weft"])
        _, _, _, asked = self.run_script("build", "-j", "3")
        self.assertEqual(asked, ["ninja -C build/release -j 3"])

    def test_build_picks_its_own_number_of_jobs(self):
        _, _, _, asked = self.run_script("build")
        jobs = int(re.search(r"-j (\d+)$", asked[-1]).group(1))
        self.assertTrue(1 <= jobs <= os.cpu_count(), jobs)

    def test_build_stops_where_packages_are_missing(self):
        status, _, _, asked = self.run_script("build", MISSING="cmake", FAKE_UID="1000")
        self.assertEqual((status, asked), (69, []))

    def test_demo_builds_only_the_program_and_runs_it(self):
        self.write_program(self.project / "build/release/bin/weft", 'echo "weft $*"')
        status, out, _, asked = self.run_script("demo", "--json")
        self.assertEqual((status, out), (0, "weft train examples/demo.toml --json\n"))
        self.assertTrue(asked[-1].endswith(" weft"), asked)

    def test_test_runs_fast_then_the_rest(self):
        status, out, _, asked = self.run_script("test")
        self.assertEqual(status, 0)
        self.assertIn(" -L ^fast$ ", asked[-2])
        self.assertTrue(asked[-2].endswith("--no-tests=error"), asked)
        self.assertIn(" -LE ^fast$ ", asked[-1])
        self.assertRegex(out, r"scripts/test: fast tests passed in \d+ s; slow tests passed in \d+ s\n$")

    def test_test_runs_one_part_with_arguments_for_ctest(self):
        _, _, _, asked = self.run_script("test", "--fast", "-R", "^codec")
        self.assertEqual(sum(line.startswith("ctest") for line in asked), 1)
        self.assertTrue(asked[-1].endswith("--no-tests=ignore -R ^codec"), asked)
        _, _, _, asked = self.run_script("test", "--slow")
        self.assertIn(" -LE ^fast$ ", asked[-1])

    def test_test_fails_when_either_part_fails_and_still_runs_both(self):
        for failing in ["-L", "-LE"]:
            status, out, _, asked = self.run_script("test", CTEST_FAILS=failing)
            self.assertEqual(status, 1)
            self.assertEqual(sum(line.startswith("ctest") for line in asked), 2)
            self.assertIn("FAILED", out)

    def test_test_runs_nothing_when_the_build_fails(self):
        status, _, _, asked = self.run_script("test", NINJA_STATUS_CODE="1")
        self.assertEqual(status, 1)
        self.assertFalse(any(line.startswith("ctest") for line in asked))

    def test_format_check_objects_without_changing_and_format_changes(self):
        shutil.copy(PROJECT / ".clang-format", self.project)
        source = self.project / "src" / "a.cc"
        source.parent.mkdir()
        source.write_text("int  a ;\n")
        self.assertEqual(self.run_script("format", "--check")[0], 1)
        self.assertEqual(source.read_text(), "int  a ;\n")
        self.assertEqual(self.run_script("format")[0], 0)
        self.assertEqual(source.read_text(), "int a;\n")
        self.assertEqual(self.run_script("format", "--check")[:3], (0, "", ""))


if __name__ == "__main__":
    unittest.main()
