"""Every command: help, exit status, error lines, what check, explain, kernels and doctor print.

SPDX-License-Identifier: Apache-2.0
"""

import re
import unittest

from tool import ToolTest

COMMANDS = ["run", "check", "bench", "explain", "kernels", "doctor"]


class Help(ToolTest):
    def test_bare_tool_names_four_commands(self):
        text = self.strobe()
        self.assertEqual(len(re.findall(r"^  strobe \w+", text, re.MULTILINE)), 4)

    def test_tool_help_names_every_command_and_has_examples(self):
        text = self.strobe("--help")
        for command in COMMANDS:
            self.assertRegex(text, rf"(?m)^  {command} ")
        self.assertIn("Examples:\n  strobe ", text)

    def test_every_command_has_help_with_examples(self):
        for command in COMMANDS:
            with self.subTest(command):
                text = self.strobe(command, "--help")
                self.assertRegex(text, rf"Examples:\n  .*strobe {command}")


class BadArguments(ToolTest):
    def test_refused_with_status_2(self):
        for arguments, named in [
            (["walk"], "walk"),
            (["check"], "case"),
            (["check", "h1 q8 d8", "--sead", "1"], "--sead"),
            (["check", "h1 q8 d8", "--threads", "many"], "many"),
            (["check", "h1 q8 d8", "--threads", "-1"], "-1"),
            (["check", "h1 q8 d8", "--threads", "1000000"], "1000000"),
            (["check", "h1 q8 d8", "--seed", "one"], "one"),
            (["check", "h1 q8 d8", "--seed", "-1"], "-1"),
            (["check", "h1 q8 d8", "--backend", "gpu"], "gpu"),
            (["check", "h1 q8 d8", "--backend", "cuda:x"], "cuda:x"),
            (["check", "h1 q8 d8", "h1 q8 d8 cuasal"], "cuasal"),
            (["check", "h3/2 q8 d8"], "3"),
            (["check", "h1 q-8 d8"], "q-8"),
            (["bench"], "--suite"),
            (["bench", "h1 q8 d8", "--suite", "odd"], "--suite"),
            (["bench", "--suite", "even"], "even"),
            (["bench", "h1 q8 d8", "--op", "sideways"], "sideways"),
            (["bench", "h1 q8 d8", "--compare", "torch"], "torch"),
            (["bench", "h1 q8 d8", "--json", "no/such/folder/a.json"], "no/such/folder"),
            (["explain", "h1 q8"], "d"),
            (["explain", "h1 q8 d8", "--memory", "lots"], "lots"),
            (["explain", "h1 q8 d8", "--memory", "-1GiB"], "-1GiB"),
            (["explain", "h1 q8 d8", "--memory", "16 GiB of it"], "16 GiB of it"),
            (["kernels", "all"], "all"),
        ]:
            with self.subTest(" ".join(arguments)):
                self.assertIn(named, self.strobe(*arguments, status=2))

    def test_a_slip_in_a_command_names_the_help_of_that_command(self):
        for arguments, named in [(["walk"], "strobe --help"), (["check"], "strobe check --help"),
                                 (["check", "h1 q8 d8", "--sead", "1"], "strobe check --help"),
                                 (["bench", "--threads"], "strobe bench --help")]:
            with self.subTest(" ".join(arguments)):
                line = self.strobe(*arguments, status=2)
                self.assertIn(f"; {named} shows what is accepted [command-line]", line)

    def test_seeds_are_numbers_of_64_bits(self):
        for seed in ["-1", "abc", "1.5", "", "18446744073709551616"]:
            with self.subTest(seed):
                line = self.strobe("check", "h1 q8 d8", "--seed", seed, status=2)
                self.assertLess(len(line), 120)
                self.assertIn(f"--seed {seed}: not a seed; give a whole number from 0", line)
        most = 2**64 - 1
        self.assertIn(f"--seed {most}", self.strobe("check", "h1 q8 d8", "--seed", most))

    def test_hot_is_decodes(self):
        self.assertIn("[bench-hot]", self.strobe("bench", "h1 q8 d8", "--hot", status=2))

    def test_a_message_names_the_tool_once(self):
        line = self.strobe("check", "h1 q1 k9 d8 page=4", status=2)
        self.assertTrue(line.startswith('strobe: check: "page=4" is'), line)

    def test_unsupported_has_status_2(self):
        for arguments, named in [
            (["check", "h1 q8 d8", "--backend", "cuda"], "cuda"),
            (["check", "h1 q8 d8", "--backend", "cuda:1"], "cuda:1"),
            (["bench", "h1 q8 d8", "--op", "backward"], "backward"),
        ]:
            with self.subTest(" ".join(arguments)):
                self.assertIn(named, self.strobe(*arguments, status=2))

    def test_control_characters_do_not_reach_the_terminal(self):
        self.assertNotIn("\x1b", self.strobe("check", "h1 q8 d8 \x1b[31m\nred", status=2))

    def test_out_of_memory_has_status_3(self):
        self.assertIn("GiB", self.strobe("check", "b64 h128 q4194304 d256", status=3))

    def test_backend_that_the_machine_lacks_has_status_3(self):
        missing = [line.split()[0] for line in self.strobe("kernels").splitlines()
                   if "not on this machine" in line]
        for backend in missing:
            self.assertIn(backend, self.strobe("check", "h1 q8 d8", "--backend", backend, status=3))


class Check(ToolTest):
    def test_passes(self):
        text = self.strobe("check", "b2 h4/2 q33 k65 d24/40 causal", "h1 q9 d5 bf16", "--seed", 3)
        self.assertIn("2 of 2 cases passed", text)

    def test_every_backend(self):
        runs_here = {line.split()[0] for line in self.strobe("kernels").splitlines()
                     if line.startswith("cpu:") and "runs here" in line}
        for backend in ["reference", "cpu", *sorted(runs_here)]:
            with self.subTest(backend):
                self.strobe("check", "h2 q70 k130 d32 causal window=20,0", "--backend", backend)

    def test_prints_the_command_that_repeats_it(self):
        text = self.strobe("check", "h2 q20 d8 varlen", "--backend", "cpu:portable", "--seed", 7)
        self.assertRegex(text, r'strobe check "[^"]*q20[^"]*" .*--backend cpu:portable.* --seed 7')

    def test_the_command_names_the_backend_of_the_kernel(self):
        for arguments in [[], ["--backend", "cpu"]]:
            text = self.strobe("check", "h2 q20 d8", *arguments)
            kernel = re.search(r"passed \((cpu:\w+) forward", text)[1]
            self.assertIn(f'" --backend {kernel} --seed 0', text)

    def test_empty_problems(self):
        self.strobe("check", "h2 q5 k0 d8", "h2 q0 k5 d8", "b0 h2 q5 d8")


class Explain(ToolTest):
    def test_kernel_tiles_and_refusals(self):
        text = self.strobe("explain", "h8 q4096 d64 bf16 causal", "--backend", "cpu:portable")
        for word in ["cpu:portable forward bf16", "tiles", "tasks", "workspace", "FLOP", "bytes",
                     "cpu:portable forward f32"]:
            self.assertIn(word, text)

    def test_memory_names_the_longest_sequence_and_the_largest_batch(self):
        text = self.strobe("explain", "h8 q4096 d64", "--memory", "1GiB", "--threads", 1)
        length = re.search(r"longest sequence +(\d+) +(\d+)", text)
        batch = re.search(r"largest batch +(\d+) +(\d+)", text)
        # q, k, v, o: 8 x 64 floats a row each, and lse 8; a score matrix is 8 x 4 x length squared.
        row = 4 * (4 * 8 * 64 + 8)
        self.assertLess(int(length[1]) * row, 2**30)
        self.assertGreater((int(length[1]) + 1) * row + 4 * 2**20, 2**30)
        standard = int(length[2])
        self.assertLessEqual(standard * row + 32 * standard**2, 2**30)
        self.assertGreater((standard + 1) * row + 32 * (standard + 1)**2, 2**30)
        self.assertGreater(int(batch[1]), int(batch[2]))
        self.assertEqual(int(batch[2]), 2**30 // (4096 * row + 32 * 4096**2))

    def test_reference(self):
        self.assertIn("float64", self.strobe("explain", "h1 q8 d8", "--backend", "reference"))


class Machine(ToolTest):
    def test_kernels_lists_portable_ones(self):
        self.assertRegex(self.strobe("kernels"), r"(?m)^cpu:portable forward f32 .*runs here")

    def test_doctor(self):
        text = self.strobe("doctor")
        for word in ["cpu", "instruction sets", "pages", "load", "clock", "memory reads",
                     "GFLOP/s"]:
            self.assertIn(word, text)
        self.assertRegex(text, "Nothing to change|Worth changing")


if __name__ == "__main__":
    unittest.main()
