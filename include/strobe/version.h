// The version of these headers, for C and C++; the build reads it here.
// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_VERSION_H
#define STROBE_VERSION_H

#define STROBE_VERSION_MAJOR 0
#define STROBE_VERSION_MINOR 1
#define STROBE_VERSION_PATCH 0

/// 100 for 0.1.0, 10203 for 1.2.3: later versions have larger numbers.
#define STROBE_VERSION_NUMBER \
  (STROBE_VERSION_MAJOR * 10000 + STROBE_VERSION_MINOR * 100 + STROBE_VERSION_PATCH)

#endif
