// Which kernels there are, and what each one refuses.
// SPDX-License-Identifier: Apache-2.0
#include "plan/registry.hpp"

#include "cpu/kernels.hpp"
#include "plan/heuristics.hpp"

namespace strobe::plan {
namespace {

constexpr KernelRow kKernels[] = {
#if defined(STROBE_X86)
    {cpu::Isa::avx512bf16, &cpu::avx512bf16::kForward[0], nullptr},
    {cpu::Isa::avx512, &cpu::avx512::kForward[0], nullptr},
    {cpu::Isa::avx512, &cpu::avx512::kForward[1], nullptr},
    {cpu::Isa::avx512, &cpu::avx512::kForward[2], nullptr},
    {cpu::Isa::avx512, &cpu::avx512::kForward[3], nullptr},
    {cpu::Isa::avx2, &cpu::avx2::kForward[0], nullptr},
    {cpu::Isa::avx2, &cpu::avx2::kForward[1], nullptr},
    {cpu::Isa::avx2, &cpu::avx2::kForward[2], nullptr},
    {cpu::Isa::avx2, &cpu::avx2::kForward[3], nullptr},
#endif
    {cpu::Isa::portable, &cpu::portable::kForward[0], nullptr},
    {cpu::Isa::portable, &cpu::portable::kForward[1], nullptr},
    {cpu::Isa::portable, &cpu::portable::kForward[2], nullptr},
    {cpu::Isa::portable, &cpu::portable::kForward[3], nullptr},
#if defined(STROBE_X86)
    {cpu::Isa::avx512bf16, nullptr, &cpu::avx512bf16::kDecode[0]},
    {cpu::Isa::avx512, nullptr, &cpu::avx512::kDecode[0]},
    {cpu::Isa::avx512, nullptr, &cpu::avx512::kDecode[1]},
    {cpu::Isa::avx512, nullptr, &cpu::avx512::kDecode[2]},
    {cpu::Isa::avx512, nullptr, &cpu::avx512::kDecode[3]},
    {cpu::Isa::avx2, nullptr, &cpu::avx2::kDecode[0]},
    {cpu::Isa::avx2, nullptr, &cpu::avx2::kDecode[1]},
    {cpu::Isa::avx2, nullptr, &cpu::avx2::kDecode[2]},
    {cpu::Isa::avx2, nullptr, &cpu::avx2::kDecode[3]},
#endif
    {cpu::Isa::portable, nullptr, &cpu::portable::kDecode[0]},
    {cpu::Isa::portable, nullptr, &cpu::portable::kDecode[1]},
    {cpu::Isa::portable, nullptr, &cpu::portable::kDecode[2]},
    {cpu::Isa::portable, nullptr, &cpu::portable::kDecode[3]},
};

}  // namespace

std::string KernelRow::name() const {
  return std::string("cpu:") + cpu::name_of(isa) + (forward != nullptr ? " forward " : " decode ") +
         strobe::name_of(dtype());
}

const char* KernelRow::codes(const Problem& problem) const {
  const bool integers = forward != nullptr ? forward->integers : decode->integers;
  if (integers && problem.kv_dtype == DType::i8 && problem.kv_scales != KvScales::group)
    return "met as they are by dot products of 16-bit integers";
  return "become numbers, a block at a time, once for all queries of a task";
}

std::string KernelRow::refuses(const Problem& problem, Op op, cpu::Isa allowed) const {
  if (problem.dtype != dtype())
    return std::string("takes ") + strobe::name_of(dtype()) + ", the problem is " +
           strobe::name_of(problem.dtype);
  if (decode != nullptr && op != Op::decode) return "answers decode, and forward is asked for";
  if (decode != nullptr && !few_queries(problem))
    return "takes few queries; the tile kernel is faster for so many";
  if (forward != nullptr && op == Op::decode && few_queries(problem))
    return "takes many queries; the decode kernel is faster for so few";
  if (isa > allowed && allowed == cpu::best_isa() && cpu::machine_has(isa))
    return std::string("slower on this CPU than cpu:") + cpu::name_of(allowed) +
           ", but runs when asked for";
  if (isa > allowed)
    return std::string("beyond the instruction set asked for, cpu:") + cpu::name_of(allowed);
  if (!cpu::machine_has(isa)) return std::string("this machine lacks ") + cpu::name_of(isa);
  return {};
}

std::span<const KernelRow> kernels() { return kKernels; }

const KernelRow* find(const Problem& problem, Op op, cpu::Isa allowed) {
  for (const KernelRow& row : kKernels)
    if (row.refuses(problem, op, allowed).empty()) return &row;
  return nullptr;
}

}  // namespace strobe::plan
