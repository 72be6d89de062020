// Each thread's last error: memory that is there before anything can fail.
// SPDX-License-Identifier: Apache-2.0
#include "api/c_error.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>

#include "api/messages.hpp"

namespace strobe::api {
namespace {

struct LastError {
  std::array<char, kLastErrorBytes> text{};
  strobe_code code = STROBE_OK;
};

constinit thread_local LastError last_error;

/// "where: before what [id]", put together without memory.
strobe_code keep(MessageId id, const char* where, const char* before, const char* what) noexcept {
  const Message& message = id.message();
  std::array<char, kLastErrorBytes> text{};
  std::snprintf(text.data(), text.size() - 32, "%s: %s%s", where, before, what);
  std::string_view ending = message.id;
  std::size_t end = std::string_view(text.data()).size();
  for (const std::string_view part : {std::string_view(" ["), ending, std::string_view("]")}) {
    end += part.copy(text.data() + end, text.size() - 1 - end);
  }
  keep_error(static_cast<strobe_code>(message.code), text.data());
  return static_cast<strobe_code>(message.code);
}

}  // namespace

void keep_error(strobe_code code, std::string_view text) noexcept {
  constexpr std::size_t kRoom = kLastErrorBytes - 1;
  constexpr std::string_view kGap = " ... ";
  const std::string_view id = text.substr(std::min(text.rfind('['), text.size()));
  char* const to = last_error.text.data();
  std::size_t end = 0;
  if (text.size() <= kRoom || id.size() + kGap.size() > kRoom) {
    end = text.copy(to, kRoom);
  } else {
    end = text.copy(to, kRoom - kGap.size() - id.size());
    end += kGap.copy(to + end, kGap.size());
    end += id.copy(to + end, id.size());
  }
  to[end] = '\0';
  last_error.code = code;
}

strobe_code keep_exception(const char* where) noexcept {
  try {
    throw;
  } catch (const Error& error) {
    const auto code = static_cast<strobe_code>(error.code());
    keep_error(code, error.what());
    return code;
  } catch (const std::bad_alloc&) {
    return keep("c-memory", where, "an allocation failed; free memory and call again", "");
  } catch (const std::exception& exception) {
    return keep("c-exception", where, "an executor or the system threw: ", exception.what());
  } catch (...) {
    return keep("c-exception", where, "an executor threw what is no std::exception", "");
  }
}

}  // namespace strobe::api

const char* strobe_last_error() { return strobe::api::last_error.text.data(); }
strobe_code strobe_last_error_code() { return strobe::api::last_error.code; }
