// Everything public, in one include.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "strobe/attention.hpp"
#include "strobe/draft_tree.hpp"
#include "strobe/dropout.hpp"
#include "strobe/error.hpp"
#include "strobe/float8.hpp"
#include "strobe/intervals.hpp"
#include "strobe/kv_cache.hpp"
#include "strobe/kv_scales.hpp"
#include "strobe/mask.hpp"
#include "strobe/merge.hpp"
#include "strobe/page_pool.hpp"
#include "strobe/plan.hpp"
#include "strobe/problem.hpp"
#include "strobe/rotary.hpp"
#include "strobe/score.hpp"
#include "strobe/tensor.hpp"
#include "strobe/version.h"
