// Causal attention in C11; pkg-config says how to compile and link.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <strobe/strobe.h>

static float x[1024 * 8 * 64], o[1024 * 8 * 64];

int main(void) {
  for (int i = 0; i < 1024 * 8 * 64; ++i) x[i] = 0.1f;
  const int64_t bshd[] = {1, 1024, 8, 64};  // batch, seqlen, num_heads, head_dim
  strobe_options options;
  strobe_options_init(&options, sizeof options);
  options.causal = 1;
  strobe_forward_args args;
  strobe_forward_args_init(&args, sizeof args);
  args.options = &options;
  strobe_tensor_init(&args.q, x, STROBE_DTYPE_F32, 4, bshd);
  strobe_tensor_init(&args.k, x, STROBE_DTYPE_F32, 4, bshd);
  strobe_tensor_init(&args.v, x, STROBE_DTYPE_F32, 4, bshd);
  strobe_tensor_init(&args.o, o, STROBE_DTYPE_F32, 4, bshd);
  if (strobe_forward(&args, NULL) != STROBE_OK) {
    fprintf(stderr, "%s\n", strobe_last_error());
    return 1;
  }
  printf("%.3f\n", o[0]);  // every value is 0.1, and so is every average of values
  return 0;
}
