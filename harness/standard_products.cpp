// Matrix products by OpenBLAS, loaded when first needed; plain loops where there is none.
// SPDX-License-Identifier: Apache-2.0
#include "harness/standard_products.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/messages.hpp"
#include "harness/machine.hpp"
#include "harness/ordered_products.hpp"
#include "harness/standard_attention.hpp"

namespace strobe::harness {
namespace {

/// The C interface of BLAS, as cblas.h has it: enumerations are ints there.
template <class Real>
using Gemm = void (*)(int order, int trans_a, int trans_b, int m, int n, int k, Real alpha,
                      const Real* a, int lda, const Real* b, int ldb, Real beta, Real* c, int ldc);
constexpr int kRowMajor = 101;
constexpr int kNoTrans = 111;
constexpr int kTrans = 112;

/// Sets an environment variable for as long as it lives, unless the user has set it.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) {
    if (value == nullptr || std::getenv(name) != nullptr) return;
    ours_ = setenv(name, value, 0) == 0;
  }
  ~Setting() {
    if (ours_) unsetenv(name_);
  }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
  bool ours_ = false;
};

struct OpenBlas {
  Gemm<float> sgemm = nullptr;
  Gemm<double> dgemm = nullptr;
  std::string version{};
  std::string kernels{};
};

/// OpenBLAS reads its settings once, when it is loaded: hence dlopen. On Zen 4 its AVX2 kernels
/// (Haswell) do Q K^T and P V at S = 4096 with 103 and 95 GFLOP/s for d = 128, 95 and 83 for d =
/// 64; those that it picks itself (Cooperlake) with 97, 92 and 86, 80 (one thread, peak 118). Zen 5
/// runs 256-bit code at half rate: there its own choice stands. One thread, because its own threads
/// reach 52 to 75 % of two cores at these shapes, one alone 70 to 87 % of its core; heads or rows
/// are cut over threads here instead.
OpenBlas load_open_blas() {
  OpenBlas blas;
  const Setting threads("OPENBLAS_NUM_THREADS", "1");
  const bool zen4 = read_machine().core == "AMD Zen 4";
  const Setting kernels("OPENBLAS_CORETYPE", zen4 ? "Haswell" : nullptr);
  void* library = nullptr;
  for (const char* name : {"libopenblas.so.0", "libopenblas.so"}) {
    if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) return blas;
  blas.sgemm = reinterpret_cast<Gemm<float>>(dlsym(library, "cblas_sgemm"));
  blas.dgemm = reinterpret_cast<Gemm<double>>(dlsym(library, "cblas_dgemm"));
  using Text = char* (*)();
  if (const auto config = reinterpret_cast<Text>(dlsym(library, "openblas_get_config")))
    blas.version = config();
  if (const auto core = reinterpret_cast<Text>(dlsym(library, "openblas_get_corename")))
    blas.kernels = core();
  using SetThreads = void (*)(int);
  if (const auto set = reinterpret_cast<SetThreads>(dlsym(library, "openblas_set_num_threads")))
    set(1);
  return blas;
}

const OpenBlas& open_blas() {
  static const OpenBlas blas = load_open_blas();
  return blas;
}

template <class Real>
Gemm<Real> gemm() {
  if constexpr (std::is_same_v<Real, double>)
    return open_blas().dgemm;
  else
    return open_blas().sgemm;
}

int blas_int(std::int64_t value) {
  if (value < 0 || value > std::numeric_limits<int>::max()) {
    throw api::error(
        "standard-size",
        fmt::format("strobe::harness::standard attention: a matrix has {} rows, columns or "
                    "elements from row to row; BLAS takes at most {}, so take shorter sequences",
                    value, std::numeric_limits<int>::max()));
  }
  return static_cast<int>(value);
}

/// OpenBLAS takes 128 MiB of addresses for each thread inside it, and asks for ever where it does
/// not get them: so a thread's first product asks before, for itself and for those whose first
/// product is under way.
class FirstProduct {
 public:
  FirstProduct() : first_(!std::exchange(known, true)) {
    if (!first_) return;
    const std::lock_guard lock(mutex);
    constexpr std::int64_t kBuffer = std::int64_t{129} << 20;
    if (available_memory_bytes() < kBuffer * (under_way + 1)) {
      known = false;
      throw std::bad_alloc();
    }
    ++under_way;
  }
  ~FirstProduct() {
    if (!first_) return;
    const std::lock_guard lock(mutex);
    --under_way;
  }
  FirstProduct(const FirstProduct&) = delete;
  FirstProduct& operator=(const FirstProduct&) = delete;

 private:
  static inline thread_local bool known = false;
  static inline std::mutex mutex;
  static inline int under_way = 0;
  bool first_;
};

/// BLAS wants a distance of at least 1 even where a matrix has no columns.
int leading(std::int64_t row) { return std::max(1, blas_int(row)); }

template <class Real>
void clear(Matrix<Real> c, ProductSizes n) {
  for (std::int64_t row = 0; row < n.rows; ++row)
    std::memset(c.data + row * c.row, 0, static_cast<std::size_t>(n.columns) * sizeof(Real));
}

}  // namespace

template <class Real>
void multiply_transposed(ConstMatrix<Real> a, ConstMatrix<Real> b, Matrix<Real> c, ProductSizes n,
                         Real alpha) {
  if (n.rows == 0 || n.columns == 0) return;
  if (n.depth == 0) return clear(c, n);
  if (const Gemm<Real> blas = gemm<Real>()) {
    const FirstProduct first;
    blas(kRowMajor, kNoTrans, kTrans, blas_int(n.rows), blas_int(n.columns), blas_int(n.depth),
         alpha, a.data, leading(a.row), b.data, leading(b.row), Real(0), c.data, leading(c.row));
    return;
  }
  std::vector<Real> columns(static_cast<std::size_t>(n.depth * n.columns));
  transpose<Real>(b, n.columns, n.depth, {columns.data(), n.columns});
  multiply_in_order<Real>(a, {columns.data(), n.columns}, c, n, alpha);
}

template <class Real>
void multiply(ConstMatrix<Real> a, ConstMatrix<Real> b, Matrix<Real> c, ProductSizes n) {
  if (n.rows == 0 || n.columns == 0) return;
  if (n.depth == 0) return clear(c, n);
  if (const Gemm<Real> blas = gemm<Real>()) {
    const FirstProduct first;
    blas(kRowMajor, kNoTrans, kNoTrans, blas_int(n.rows), blas_int(n.columns), blas_int(n.depth),
         Real(1), a.data, leading(a.row), b.data, leading(b.row), Real(0), c.data, leading(c.row));
    return;
  }
  multiply_in_order<Real>(a, b, c, n, Real(1));
}

template void multiply_transposed(ConstMatrix<float>, ConstMatrix<float>, Matrix<float>,
                                  ProductSizes, float);
template void multiply_transposed(ConstMatrix<double>, ConstMatrix<double>, Matrix<double>,
                                  ProductSizes, double);
template void multiply(ConstMatrix<float>, ConstMatrix<float>, Matrix<float>, ProductSizes);
template void multiply(ConstMatrix<double>, ConstMatrix<double>, Matrix<double>, ProductSizes);

std::string standard_products() {
  const OpenBlas& blas = open_blas();
  if (blas.sgemm == nullptr) return "plain loops (no OpenBLAS found)";
  // The configuration reads "OpenBLAS 0.3.21 DYNAMIC_ARCH ...".
  const std::size_t second = blas.version.find(' ', blas.version.find(' ') + 1);
  return fmt::format("{} gemm ({} kernels)", blas.version.substr(0, second), blas.kernels);
}

}  // namespace strobe::harness
