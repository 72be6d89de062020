// Marks what a shared library shows; everything else is compiled to be hidden.
// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_EXPORT_H
#define STROBE_EXPORT_H

// Programs see every declaration as shown, whichever library they link, and need no definition for
// it. A static library hides its own symbols (STROBE_STATIC): what is made of it, a plugin or a
// module of Python, exports its own and never meets the Strobe of another.
#if defined(STROBE_STATIC) || !defined(__GNUC__)
#  define STROBE_API
#else
#  define STROBE_API __attribute__((visibility("default")))
#endif

#endif
