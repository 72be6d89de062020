// Four steps from the textbook softmax to FlashAttention: equal outputs, ever fewer bytes moved.
// SPDX-License-Identifier: Apache-2.0
//
// docs/math.md walks through this program. Arrays in main memory are Memory, which counts what is
// read and written. Row, float and Tile stand for registers and cache, where access is free.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <random>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t kSeqlen = 512;  // queries, and keys
constexpr std::size_t kDim = 64;      // head_dim and head_dim_v
constexpr std::size_t kTile = 64;     // rows of a tile, in queries and in keys
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kTolerance = 1e-5;
static_assert(kSeqlen % kTile == 0);

using Row = std::array<float, kDim>;
using Tile = std::array<Row, kTile>;

class Memory {
 public:
  explicit Memory(std::size_t size) : data_(size) {}
  explicit Memory(std::vector<float> data) : data_(std::move(data)) {}
  float read(std::size_t index) {
    ++reads_;
    return data_[index];
  }
  void write(std::size_t index, float value) {
    ++writes_;
    data_[index] = value;
  }
  Row read_row(std::size_t row) {
    Row values;
    for (std::size_t d = 0; d < kDim; ++d) values[d] = read(row * kDim + d);
    return values;
  }
  void write_row(std::size_t row, const Row& values) {
    for (std::size_t d = 0; d < kDim; ++d) write(row * kDim + d, values[d]);
  }
  Tile read_tile(std::size_t first_row) {
    Tile rows;
    for (std::size_t r = 0; r < kTile; ++r) rows[r] = read_row(first_row + r);
    return rows;
  }

  /// For looking on from outside: not counted.
  const std::vector<float>& values() const { return data_; }
  std::size_t bytes_moved() const { return (reads_ + writes_) * sizeof(float); }
  /// How often the whole array crossed, either way.
  std::size_t passes() const { return (reads_ + writes_) / data_.size(); }

 private:
  std::vector<float> data_;
  std::size_t reads_ = 0, writes_ = 0;
};

struct Problem {
  Memory q{kSeqlen * kDim}, k{kSeqlen * kDim}, v{kSeqlen * kDim}, o{kSeqlen * kDim};
  Memory s{kSeqlen * kSeqlen};  // the score matrix, for the steps that need one
};

/// The score of one query against one key.
float score(const Row& q, const Row& k) {
  float sum = 0;
  for (std::size_t d = 0; d < kDim; ++d) sum += q[d] * k[d];
  return sum / std::sqrt(static_cast<float>(kDim));
}

/// o = o * factor + p * v
void accumulate(Row& o, float factor, float p, const Row& v) {
  for (std::size_t d = 0; d < kDim; ++d) o[d] = o[d] * factor + p * v[d];
}

void write_scores(Problem& a) {
  for (std::size_t i = 0; i < kSeqlen; ++i) {
    const Row q = a.q.read_row(i);
    for (std::size_t j = 0; j < kSeqlen; ++j) a.s.write(i * kSeqlen + j, score(q, a.k.read_row(j)));
  }
}

// Step 1. Safe softmax as it is taught: a pass for the maximum, one for the sum, one for the
// weights. Written once and read three times, s crosses four times.
void three_pass(Problem& a) {
  write_scores(a);
  for (std::size_t i = 0; i < kSeqlen; ++i) {
    float m = -kInfinity, l = 0;
    for (std::size_t j = 0; j < kSeqlen; ++j) m = std::max(m, a.s.read(i * kSeqlen + j));
    for (std::size_t j = 0; j < kSeqlen; ++j) l += std::exp(a.s.read(i * kSeqlen + j) - m);
    Row o{};
    for (std::size_t j = 0; j < kSeqlen; ++j)
      accumulate(o, 1, std::exp(a.s.read(i * kSeqlen + j) - m) / l, a.v.read_row(j));
    a.o.write_row(i, o);
  }
}

// Step 2. Online softmax: maximum and sum in one pass. When the maximum rises from m to m_new,
// the sum so far is worth exp(m - m_new) of what it was.
void online(Problem& a) {
  write_scores(a);
  for (std::size_t i = 0; i < kSeqlen; ++i) {
    float m = -kInfinity, l = 0;
    for (std::size_t j = 0; j < kSeqlen; ++j) {
      const float s = a.s.read(i * kSeqlen + j), m_new = std::max(m, s);
      l = l * std::exp(m - m_new) + std::exp(s - m_new);
      m = m_new;
    }
    Row o{};
    for (std::size_t j = 0; j < kSeqlen; ++j)
      accumulate(o, 1, std::exp(a.s.read(i * kSeqlen + j) - m) / l, a.v.read_row(j));
    a.o.write_row(i, o);
  }
}

// Step 3. The same correction serves o, so nothing has to wait for the final maximum: each score
// is used where it is computed, and the score matrix is gone.
void one_pass(Problem& a) {
  for (std::size_t i = 0; i < kSeqlen; ++i) {
    const Row q = a.q.read_row(i);
    Row o{};
    float m = -kInfinity, l = 0;
    for (std::size_t j = 0; j < kSeqlen; ++j) {
      const float s = score(q, a.k.read_row(j)), m_new = std::max(m, s);
      l = l * std::exp(m - m_new) + std::exp(s - m_new);
      accumulate(o, std::exp(m - m_new), std::exp(s - m_new), a.v.read_row(j));
      m = m_new;
    }
    for (float& value : o) value /= l;
    a.o.write_row(i, o);
  }
}

/// What is known of a row after some of its keys: o is still to be divided by l.
struct State {
  float m = -kInfinity, l = 0;
  Row o{};
};

/// Takes in a tile of keys: the maximum rises once for all of them, not once for each.
void fold(State& row, const Row& q, const Tile& k, const Tile& v) {
  std::array<float, kTile> s;
  float m_new = row.m;
  for (std::size_t j = 0; j < kTile; ++j) {
    s[j] = score(q, k[j]);
    m_new = std::max(m_new, s[j]);
  }
  const float correction = std::exp(row.m - m_new);
  row.m = m_new;
  row.l *= correction;
  for (float& value : row.o) value *= correction;
  for (std::size_t j = 0; j < kTile; ++j) {
    const float p = std::exp(s[j] - m_new);
    row.l += p;
    accumulate(row.o, 1, p, v[j]);
  }
}

// Step 4. A tile of queries shares every tile of keys and values: k and v cross once for each
// tile of queries, not once for each query. This is FlashAttention's forward pass.
void tiled(Problem& a) {
  for (std::size_t i = 0; i < kSeqlen; i += kTile) {
    const Tile q = a.q.read_tile(i);
    std::array<State, kTile> rows;
    for (std::size_t j = 0; j < kSeqlen; j += kTile) {
      const Tile k = a.k.read_tile(j), v = a.v.read_tile(j);
      for (std::size_t r = 0; r < kTile; ++r) fold(rows[r], q[r], k, v);
    }
    for (std::size_t r = 0; r < kTile; ++r) {
      for (float& value : rows[r].o) value /= rows[r].l;
      a.o.write_row(i + r, rows[r].o);
    }
  }
}

/// softmax(q kT) v in float64, by the unsafe formula: these scores are small.
std::vector<double> formula(const Problem& a) {
  std::vector<double> o(kSeqlen * kDim, 0.0);
  for (std::size_t i = 0; i < kSeqlen; ++i) {
    double l = 0;
    for (std::size_t j = 0; j < kSeqlen; ++j) {
      double s = 0;
      for (std::size_t d = 0; d < kDim; ++d)
        s += double{a.q.values()[i * kDim + d]} * a.k.values()[j * kDim + d];
      const double p = std::exp(s / std::sqrt(double{kDim}));
      l += p;
      for (std::size_t d = 0; d < kDim; ++d) o[i * kDim + d] += p * a.v.values()[j * kDim + d];
    }
    for (std::size_t d = 0; d < kDim; ++d) o[i * kDim + d] /= l;
  }
  return o;
}

/// Values even in (-2, 2), the same on every machine.
Memory random_rows(std::mt19937& engine) {
  std::vector<float> values(kSeqlen * kDim);
  for (float& value : values) value = static_cast<float>(engine() >> 8) * 0x1p-22f - 2;
  return Memory(std::move(values));
}

struct Step {
  const char* name;
  void (*run)(Problem&);
};

constexpr std::array<Step, 4> kSteps = {{{"1 three-pass softmax", three_pass},
                                         {"2 online softmax", online},
                                         {"3 one pass over rows", one_pass},
                                         {"4 tiled", tiled}}};

void print_counts(const Step& step, const Problem& a) {
  const std::size_t bytes = a.q.bytes_moved() + a.k.bytes_moved() + a.v.bytes_moved() +
                            a.o.bytes_moved() + a.s.bytes_moved();
  std::printf("%-21s %8zu %8zu %8zu %8zu %8zu %14zu\n", step.name, a.q.passes(), a.k.passes(),
              a.v.passes(), a.o.passes(), a.s.passes(), bytes);
}

/// The largest difference between what a step wrote and the formula.
double error(const Problem& a, const std::vector<double>& want) {
  double largest = 0;
  for (std::size_t n = 0; n < want.size(); ++n)
    largest = std::max(largest, std::abs(a.o.values()[n] - want[n]));
  return largest;
}

}  // namespace

int main() {
  std::mt19937 engine(1);
  Problem inputs;
  for (Memory* rows : {&inputs.q, &inputs.k, &inputs.v}) *rows = random_rows(engine);
  const std::vector<double> want = formula(inputs);

  std::printf("%zu queries, %zu keys, head_dim %zu, f32, tiles of %zu rows\n\n", kSeqlen, kSeqlen,
              kDim, kTile);
  std::printf("%-21s %8s %8s %8s %8s %8s %14s\n", "passes over", "q", "k", "v", "o", "s",
              "bytes moved");
  int wrong = 0;
  for (const Step& step : kSteps) {
    Problem problem = inputs;
    step.run(problem);
    print_counts(step, problem);
    if (error(problem, want) <= kTolerance) continue;
    std::fprintf(stderr, "ladder: step %s is off by %g, more than %g\n", step.name,
                 error(problem, want), kTolerance);
    wrong = 1;
  }
  if (wrong == 0)
    std::printf("\nequal outputs: each within %g of softmax(q kT) v in float64\n", kTolerance);
  return wrong;
}
