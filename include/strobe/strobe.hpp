// Everything public, in one include.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "strobe/attention.hpp"
#include "strobe/dropout.hpp"
#include "strobe/error.hpp"
#include "strobe/mask.hpp"
#include "strobe/plan.hpp"
#include "strobe/problem.hpp"
#include "strobe/score.hpp"
#include "strobe/tensor.hpp"
#include "strobe/version.h"
