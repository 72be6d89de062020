// Memory against a page that nobody may touch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <new>

namespace strobe::test {

enum class Against { page_before, page_after };

/// Memory of `bytes` bytes whose first (or last) byte lies against a forbidden page. At the other
/// end, less than a page of slack.
class Walled {
 public:
  Walled(std::size_t bytes, Against against)
      : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    const std::size_t pages = (bytes + page_ - 1) / page_;
    size_ = (pages + 2) * page_;
    void* const memory = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<std::byte*>(memory);
    inside_ = pages * page_;
    allow(PROT_READ | PROT_WRITE);
    data_ = base_ + page_ + (against == Against::page_after ? inside_ - bytes : 0);
    if (inside_ > 0) std::memset(base_ + page_, 0xff, inside_);
  }
  ~Walled() { munmap(base_, size_); }
  Walled(const Walled&) = delete;
  Walled& operator=(const Walled&) = delete;

  std::byte* data() const { return data_; }
  void make_read_only() { allow(PROT_READ); }

 private:
  void allow(int protection) {
    if (inside_ > 0 && mprotect(base_ + page_, inside_, protection) != 0) throw std::bad_alloc();
  }

  std::size_t page_;
  std::size_t size_ = 0, inside_ = 0;
  std::byte* base_ = nullptr;
  std::byte* data_ = nullptr;
};

}  // namespace strobe::test
