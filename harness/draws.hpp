// Counter-based draws: streams of splitmix64 that have names, the same on every machine.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace strobe::harness {

/// The finaliser of splitmix64 (Steele, Lea, Flood, 2014).
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Draw `index` of the stream, and a stream of its own.
constexpr std::uint64_t next(std::uint64_t stream, std::uint64_t index) {
  return mix(stream + (index + 1) * 0x9e3779b97f4a7c15u);
}

/// FNV-1a, 64 bits.
constexpr std::uint64_t name_hash(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

constexpr std::uint64_t named_stream(std::uint64_t seed, std::string_view name) {
  return next(mix(seed), name_hash(name));
}

/// Draw `index`, evenly from 0 to `most`, which is below 2^32.
constexpr std::int64_t draw_to(std::uint64_t stream, std::int64_t index, std::int64_t most) {
  const std::uint64_t draw = next(stream, static_cast<std::uint64_t>(index)) >> 32;
  return static_cast<std::int64_t>((draw * (static_cast<std::uint64_t>(most) + 1)) >> 32);
}

}  // namespace strobe::harness
