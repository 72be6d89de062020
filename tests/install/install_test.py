"""Installs the library, static and shared, and builds and runs examples/consumers against it.

SPDX-License-Identifier: Apache-2.0
usage: install_test.py SETTINGS [UNITTEST-ARGUMENT...]      SETTINGS: what CMakeLists.txt wrote

The static library is the one that was built. The shared one comes from a build inside another
project, so that one compilation shows both. Each tree is moved after it was installed.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONSUMERS = ROOT / "examples" / "consumers"
SETTINGS = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
BUILD = pathlib.Path(SETTINGS["build"])
WORK = BUILD / "install_test"
STATIC, SHARED = WORK / "static", WORK / "shared"
INSIDE = WORK / "fetch_content"
CACHE = [f"-D{name}={value}" for name, value in SETTINGS["cache"].items() if value]
MEANS = " 0.0 0.5 1.0 1.5 4.0 4.5 5.0 7.0 7.5\n"  # of the keys seen in documents of 4, 3 and 2
JOBS = str(len(os.sched_getaffinity(0)))
# What is inside namespace strobe and not public.
INTERNAL = re.compile(r"strobe::(api|plan|cpu|gpu|reference|semantics)::")


def run(*command, **more):
    """The command's output; its complaint is the failure."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def install(build, prefix):
    """Installs, and moves the tree: nothing in it may depend on where it was."""
    first = WORK / "first"
    for folder in (first, prefix):
        shutil.rmtree(folder, ignore_errors=True)
    run("cmake", "--install", build, "--prefix", first)
    first.rename(prefix)


def setUpModule():
    WORK.mkdir(exist_ok=True)
    warnings = WORK / "warnings.cmake"
    warnings.write_text(f"add_compile_options({SETTINGS['warnings']})\n", encoding="utf-8")
    run("cmake", "-G", "Ninja", "-S", CONSUMERS / "fetch_content", "-B", INSIDE, *CACHE,
        f"-DSTROBE_SOURCE={ROOT}", "-DBUILD_SHARED_LIBS=ON", "-DSTROBE_INSTALL=ON",
        f"-DCMAKE_PROJECT_strobe_INCLUDE={warnings}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    run("cmake", "--build", INSIDE, "-j", JOBS)
    install(BUILD, STATIC)
    install(INSIDE, SHARED)


def library_folder(prefix):
    return next(prefix.glob("**/pkgconfig")).parent


def with_libraries(prefix, **more):
    return {**os.environ, "LD_LIBRARY_PATH": str(library_folder(prefix)), **more}


class InstalledTree(unittest.TestCase):
    def test_no_path_is_absolute(self):
        for prefix in (STATIC, SHARED):
            texts = [*prefix.rglob("*.cmake"), *prefix.rglob("*.pc")]
            self.assertGreaterEqual(len(texts), 5)
            for text in texts:
                for place in (WORK, ROOT, BUILD):
                    self.assertNotIn(str(place), text.read_text(encoding="utf-8"), text)

    def test_has_the_headers(self):
        ours = {path.name for path in (ROOT / "include" / "strobe").iterdir()}
        for prefix in (STATIC, SHARED):
            self.assertEqual(ours, {path.name for path in (prefix / "include/strobe").iterdir()})

    def test_has_the_tool(self):
        self.assertEqual(SETTINGS["version"], run(STATIC / "bin/strobe", "--version").strip())
        self.assertFalse((SHARED / "bin").exists(), "a build inside another project has no tool")

    def test_shared_library_has_its_names(self):
        major, minor, _ = SETTINGS["version"].split(".")
        soversion = f"0.{minor}" if major == "0" else major
        names = {path.name for path in library_folder(SHARED).glob("libstrobe*")}
        self.assertEqual({"libstrobe.so", f"libstrobe.so.{soversion}",
                          f"libstrobe.so.{SETTINGS['version']}"}, names)

    def test_shared_library_shows_the_interface_only(self):
        listing = run(SETTINGS["nm"], "-D", "-C", "--defined-only",
                      library_folder(SHARED) / "libstrobe.so")
        shown = {line.split(maxsplit=2)[2] for line in listing.splitlines()}
        c_names = {name for name in shown if re.fullmatch(r"strobe_\w+", name)}
        header = (ROOT / "include/strobe/strobe.h").read_text(encoding="utf-8")
        self.assertEqual(set(re.findall(r"STROBE_API [^;]*?(strobe_\w+)\(", header)), c_names)
        for name in shown - c_names:
            self.assertRegex(name, r"^((typeinfo|typeinfo name|vtable) for )?strobe::")
            self.assertNotRegex(name.split("(")[0], INTERNAL)
        self.assertTrue(any(name.startswith("strobe::forward(") for name in shown))


def compile_c11(source, prefix, output, *flags):
    compiler = "clang" if "clang" in SETTINGS["cache"]["CMAKE_CXX_COMPILER"] else "gcc"
    strobe = run("pkg-config", "--cflags", "--libs", "strobe", env=with_libraries(
        prefix, PKG_CONFIG_PATH=str(library_folder(prefix) / "pkgconfig"))).split()
    run(compiler, "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", *flags,
        CONSUMERS / "pkg_config" / source, "-o", output, *strobe)


class Consumers(unittest.TestCase):
    def test_c11_by_pkg_config(self):
        for prefix in (STATIC, SHARED):
            for source, printed in (("main.c", "0.100\n"), ("documents.c", MEANS)):
                program = WORK / f"c11_{source}_{prefix.name}"
                compile_c11(source, prefix, program)
                self.assertEqual(printed, run(program, env=with_libraries(prefix)))

    def test_plugin_of_the_static_library_shows_none_of_it(self):
        plugin = WORK / "plugin.so"
        compile_c11("main.c", STATIC, plugin, "-shared", "-fPIC")
        shown = run(SETTINGS["nm"], "-D", "--defined-only", plugin)
        self.assertIn(" main", shown)
        self.assertNotIn("strobe", shown)

    def test_cxx20_by_find_package(self):
        for prefix in (STATIC, SHARED):
            build = WORK / f"find_package_{prefix.name}"
            run("cmake", "-G", "Ninja", "-S", CONSUMERS / "find_package", "-B", build, *CACHE,
                f"-DCMAKE_PREFIX_PATH={prefix}")
            run("cmake", "--build", build)
            self.assertEqual("0.100\n", run(build / "engine"))

    def test_another_minor_version_is_refused(self):
        project = WORK / "later"
        project.mkdir(exist_ok=True)
        text = (CONSUMERS / "find_package/CMakeLists.txt").read_text(encoding="utf-8")
        (project / "CMakeLists.txt").write_text(text.replace("strobe 0.1", "strobe 0.99"),
                                                encoding="utf-8")
        with self.assertRaisesRegex(AssertionError, "considered but not accepted"):
            run("cmake", "-G", "Ninja", "-S", project, "-B", project / "build", *CACHE,
                f"-DCMAKE_PREFIX_PATH={STATIC}")

    def test_cxx20_by_fetch_content(self):
        self.assertEqual("0.100\n", run(INSIDE / "engine"))

    @unittest.skipUnless(shutil.which("rustc"), "needs rustc; 'bash scripts/setup.sh test' has it")
    def test_rust_by_the_c_header(self):
        program = WORK / "rust"
        run("rustc", "--edition", "2021", "-D", "warnings", "-A", "dead_code",
            CONSUMERS / "rust/main.rs", "-o", program, "-L", f"native={library_folder(SHARED)}",
            "-l", "dylib=strobe")
        self.assertEqual("0.100\n", run(program, env=with_libraries(SHARED)))


class InsideAnotherProject(unittest.TestCase):
    def test_builds_the_library_alone(self):
        targets = run("ninja", "-C", INSIDE, "-t", "targets", "all")
        for ours in ("strobe_tool", "strobe_harness", "strobe_api_tests", "strobe_example_hello"):
            self.assertNotIn(f"{ours}:", targets)

    def test_leaves_the_flags_of_the_parent_alone(self):
        commands = json.loads((INSIDE / "compile_commands.json").read_text(encoding="utf-8"))
        main = next(entry["command"] for entry in commands if entry["file"].endswith("main.cpp"))
        self.assertIn("-std=gnu++20", main)  # the library asks for C++20, not for no extensions
        for flag in ("-Wall", "-fPIC", "-fvisibility", "-DSTROBE"):
            self.assertNotIn(flag, main)

    def test_chooses_no_build_type(self):
        build = WORK / "no_build_type"
        cache = [entry for entry in CACHE if "BUILD_TYPE" not in entry]
        run("cmake", "-G", "Ninja", "-S", CONSUMERS / "fetch_content", "-B", build, *cache,
            f"-DSTROBE_SOURCE={ROOT}")
        text = (build / "CMakeCache.txt").read_text(encoding="utf-8")
        self.assertRegex(text, r"(?m)^CMAKE_BUILD_TYPE:STRING=$")
        installed = run("cmake", "--install", build, "--prefix", WORK / "nothing")
        self.assertNotIn("strobe.h", installed)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
