"""Shows each lint test something it must refuse, and something it must let pass.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

import budgets
import check_docs
import check_layers
import nm


class Layers(unittest.TestCase):
    def problems(self, name, source):
        return list(check_layers.problems_of(name, source))

    def test_kernel_may_include_semantics(self):
        self.assertEqual([], self.problems("src/cpu/x.cpp", '#include "semantics/work.hpp"\n'))

    def test_kernel_knows_no_problem(self):
        self.assertTrue(self.problems("src/cpu/forward.cpp", '#include "strobe/problem.hpp"\n'))

    def test_plan_knows_no_api(self):
        self.assertTrue(self.problems("src/plan/plan.cpp", '#include "api/validate.hpp"\n'))

    def test_simd_knows_no_attention(self):
        self.assertTrue(self.problems("src/cpu/simd/x.hpp", '#include "semantics/tile_walk.hpp"\n'))

    def test_intrinsics_only_in_simd(self):
        self.assertEqual([], self.problems("src/cpu/simd/x.hpp", "#include <immintrin.h>\n"))
        self.assertTrue(self.problems("src/cpu/tiles/x.hpp", "#include <immintrin.h>\n"))

    def test_public_headers_include_std_only(self):
        self.assertEqual([], self.problems("include/strobe/x.hpp", "#include <vector>\n"))
        self.assertTrue(self.problems("include/strobe/x.hpp", "#include <sys/mman.h>\n"))
        self.assertEqual([], self.problems("include/strobe/x.h", "#include <stdint.h>\n"))
        self.assertTrue(self.problems("include/strobe/x.h", "#include <cstdint>\n"))
        self.assertTrue(self.problems("include/strobe/x.h", '#include "strobe/mask.hpp"\n'))

    def test_no_cuda_outside_gpu(self):
        self.assertTrue(self.problems("src/api/x.cpp", "#include <cuda_runtime.h>\n"))

    def test_no_tool_library_in_library(self):
        self.assertTrue(self.problems("src/api/x.cpp", "#include <fmt/format.h>\n"))


class Budgets(unittest.TestCase):
    def test_lines_and_parameters_of_a_function(self):
        source = ("namespace a {\nint f(int x, std::map<int, int> y) {\n"
                  "  if (x) { return 1; }\n  return 2;\n}\n}\n")
        self.assertEqual([("f", 2, 4, 2)], budgets.cxx_functions(source))

    def test_braces_in_strings_do_not_count(self):
        source = "void f() {\n  g(\"{\", '{', 1'000);\n}\nvoid h() {}\n"
        self.assertEqual(["f", "h"], [name for name, *_ in budgets.cxx_functions(source)])

    def test_long_function_is_refused(self):
        found = budgets.Budgets()
        found.check("lines in a function", budgets.FUNCTION_LINES, 61, "src/x.cpp", "f")
        self.assertEqual(1, len(found.problems))

    def test_commented_out_code_is_refused(self):
        for line in ("  // x = f(1);", "// return 3;", "// #include <vector>"):
            self.assertTrue(budgets.COMMENTED_CODE.match(line), line)
        for line in ("  // Rows past the end; nothing reads them.", "/// f(x);", "// why (see 3)"):
            self.assertFalse(budgets.COMMENTED_CODE.match(line), line)

    def test_leftover_is_refused(self):
        found = budgets.Budgets()
        budgets.check_text(found, "src/x.cpp", "// TO" + "DO: later\n")
        self.assertEqual(1, len(found.problems))


class Symbols(unittest.TestCase):
    def test_own_namespace(self):
        self.assertTrue(nm.own("_ZN6strobe3cpu6avx5127forwardEv", "avx512"))
        self.assertTrue(nm.own("_ZTVN6strobe3cpu6avx5125TableE", "avx512"))
        self.assertFalse(nm.own("_ZN6strobe3cpu10avx512bf167forwardEv", "avx512"))
        self.assertFalse(nm.own("_ZN6strobe3cpu7forwardEv", "avx512"))
        self.assertFalse(nm.own("_ZSt3maxIiERKT_S2_S2_", "avx512"))

    def test_vector_loops_may_have_no_weak_symbol(self):
        self.assertTrue(nm.allowed("T", "_ZN6strobe7harness4loopEv", "x/vector_loops_avx2.cpp.o"))
        self.assertFalse(nm.allowed("W", "_ZN6strobe7harness4loopEv", "x/vector_loops_avx2.cpp.o"))

    @unittest.skipUnless(shutil.which("c++") and shutil.which("nm"), "needs a compiler")
    def test_weak_inline_function_is_seen(self):
        source = ("inline __attribute__((noinline)) int leak() { return 1; }\n"
                  "namespace strobe::cpu::avx512 { int use() { return leak(); } }\n")
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder) / "cpu" / "isa" / "avx512.cpp.o"
            target.parent.mkdir(parents=True)
            subprocess.run(["c++", "-std=c++20", "-x", "c++", "-c", "-", "-o", str(target)],
                           input=source, text=True, check=True)
            names = [name for _, name in nm.defined_symbols("nm", str(target))]
        self.assertEqual(["_Z4leakv"], [name for name in names if not nm.own(name, "avx512")])


class Docs(unittest.TestCase):
    def test_dead_link(self):
        self.assertTrue(list(check_docs.broken_links("README.md", "[x](docs/nowhere.md)")))
        self.assertTrue(list(check_docs.broken_links("README.md", "# A\n[x](#b)")))
        self.assertEqual([], list(check_docs.broken_links("README.md", "# A b\n[x](#a-b)")))

    def test_missing_script(self):
        checks = check_docs.CommandChecks(None)
        self.assertIsNone(checks.problem(["bash", "scripts/test.sh"]))
        self.assertTrue(checks.problem(["bash", "scripts/nowhere.sh"]))
        self.assertTrue(checks.problem(["cmake", "--preset", "nowhere"]))

    def test_quoted_program_must_stand_there(self):
        quote = "<!-- examples/nowhere.cpp -->\n```cpp\nint main() {}\n```\n"
        self.assertTrue(list(check_docs.quoted_programs("README.md", quote)))


if __name__ == "__main__":
    unittest.main()
