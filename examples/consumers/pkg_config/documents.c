// Three documents in one sequence, in C11: each token sees its own document only, up to itself.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <strobe/strobe.h>

static int fail(void) {
  fprintf(stderr, "%s\n", strobe_last_error());
  return 1;
}

int main(void) {
  // Every key weighs the same, and the value of key j is j, so o is the mean of the keys seen.
  const float q[9] = {0}, v[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  float o[9];
  const int32_t lengths[] = {4, 3, 2};  // of the documents, which fill 9 tokens
  int32_t cu_seqlens[4], key_begin[9], key_end[9];
  if (strobe_cu_seqlens_of_lengths(lengths, 3, cu_seqlens) != STROBE_OK) return fail();
  strobe_key_intervals intervals;
  strobe_key_intervals_init(&intervals, sizeof intervals);
  intervals.key_begin = key_begin;
  intervals.key_end = key_end;
  intervals.seqlen_q = intervals.seqlen_k = 9;
  intervals.num_documents = 3;
  intervals.cu_seqlens = cu_seqlens;  // 0, 4, 7, 9
  if (strobe_fill_key_intervals(&intervals) != STROBE_OK) return fail();

  const int64_t bshd[] = {1, 9, 1, 1}, rows[] = {1, 1, 9};
  strobe_options options;
  strobe_options_init(&options, sizeof options);
  options.causal = 1;
  strobe_forward_args args;
  strobe_forward_args_init(&args, sizeof args);
  args.options = &options;
  strobe_tensor_init(&args.q, q, STROBE_DTYPE_F32, 4, bshd);
  strobe_tensor_init(&args.k, q, STROBE_DTYPE_F32, 4, bshd);
  strobe_tensor_init(&args.v, v, STROBE_DTYPE_F32, 4, bshd);
  strobe_tensor_init(&args.o, o, STROBE_DTYPE_F32, 4, bshd);
  strobe_tensor_init(&args.key_begin, key_begin, STROBE_DTYPE_I32, 3, rows);
  strobe_tensor_init(&args.key_end, key_end, STROBE_DTYPE_I32, 3, rows);
  if (strobe_forward(&args, NULL) != STROBE_OK) return fail();
  for (int i = 0; i < 9; ++i) printf(" %.1f", o[i]);
  printf("\n");
  return 0;
}
