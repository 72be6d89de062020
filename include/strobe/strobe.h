// Exact attention for C and for every language that can call C.
// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_STROBE_H
#define STROBE_STROBE_H

#include <stdint.h>

#include "strobe/export.h"
#include "strobe/version.h"

/// \defgroup c_interface The C interface
/// docs/c_api.md says how to use it, docs/abi_policy.md what stays as it is.
///
/// Structs grow: each begins with struct_size, which its initialiser sets, and members are only
/// appended. A zero is the default of every member, now and later, so an initialiser writes zeros
/// and struct_size, nothing else. Members named `reserved` are 0.
///
/// Pointers to structs are read during the call and not kept. Memory of tensors and workspaces is
/// the caller's; what a function creates, its namesake destroys. No exception comes out, and any
/// function may be called from any thread.
/// @{

#ifdef __cplusplus
extern "C" {
#endif

// ---- errors -------------------------------------------------------------------------------------

/// What a function returns: 0, or what kind of trouble it is. Functions fail before any output is
/// written, and leave a message.
typedef int32_t strobe_code;
enum {
  STROBE_OK = 0,
  STROBE_INVALID_ARGUMENT = 1,  ///< the caller's mistake: shapes, types, overlaps, lengths
  STROBE_UNSUPPORTED = 2,       ///< a right question that this build or machine does not answer
  STROBE_OUT_OF_MEMORY = 3,     ///< an allocation failed
  STROBE_DEVICE = 4             ///< the machine lacks what was asked for, or failed
};

/// What the last failure on this thread was: what is wrong with the numbers, what is accepted, what
/// to do, and in brackets the id that docs/errors.md explains. Empty before the first; success
/// leaves it. Valid until the next failure on this thread. Needs no memory to be had.
STROBE_API const char* strobe_last_error(void);
/// Its code; STROBE_OK before the first.
STROBE_API strobe_code strobe_last_error_code(void);

// ---- versions -----------------------------------------------------------------------------------

/// The library's version, "0.1.0". That of this header is STROBE_VERSION_MAJOR and so on.
STROBE_API const char* strobe_version(void);
/// The library's STROBE_VERSION_NUMBER.
STROBE_API int32_t strobe_version_number(void);

// ---- tensors ------------------------------------------------------------------------------------

/// The type of a tensor's elements.
typedef int32_t strobe_dtype;
enum {
  STROBE_DTYPE_NONE = 0,
  STROBE_DTYPE_F32 = 1,
  STROBE_DTYPE_F16 = 2,
  STROBE_DTYPE_BF16 = 3,
  STROBE_DTYPE_F64 = 4,
  STROBE_DTYPE_I32 = 5,
  STROBE_DTYPE_BOOL = 6,  ///< one byte, 0 or 1
  STROBE_DTYPE_U64 = 7,
  STROBE_DTYPE_E4M3 = 8,  ///< codes of quantised caches: e4m3 and e5m2 of 8 bits (OCP)
  STROBE_DTYPE_E5M2 = 9,
  STROBE_DTYPE_I8 = 10,
  STROBE_DTYPE_I4 = 11  ///< two a byte along the last axis, the first in the low half; shape and
                        ///< strides count codes
};

/// A view of the caller's memory. All zero: not given. This struct does not grow.
typedef struct strobe_tensor {
  void* data;          ///< inputs are only read; may be null where a size is 0
  strobe_dtype dtype;  ///< of the elements
  int32_t rank;        ///< how many axes: 1 to 4; 0: no tensor
  int64_t shape[4];    ///< one size for each axis; the others are not read
  int64_t strides[4];  ///< in elements, one for each axis; that of the last is 1 mostly
  int64_t reserved;    ///< 0
} strobe_tensor;

/// Fills in all of `tensor`, with the strides of a row-major one. `shape` has `rank` sizes. For
/// other strides change `strides` afterwards. STROBE_INVALID_ARGUMENT: a rank that no tensor has,
/// or a null pointer where one is needed.
STROBE_API strobe_code strobe_tensor_init(strobe_tensor* tensor, const void* data,
                                          strobe_dtype dtype, int32_t rank, const int64_t* shape);

// ---- what is computed ---------------------------------------------------------------------------

/// Where the queries sit among the keys when a sequence has more of one than of the other.
typedef int32_t strobe_align;
enum {
  STROBE_ALIGN_BOTTOM_RIGHT = 0,  ///< the last query on the last key
  STROBE_ALIGN_TOP_LEFT = 1       ///< the first query on the first key
};

/// What a row's bits may depend on (docs/semantics.md, "Reproducibility").
typedef int32_t strobe_determinism;
enum {
  STROBE_DETERMINISM_BATCH_INVARIANT = 0,  ///< the row's own query and keys alone
  STROBE_DETERMINISM_RUN_TO_RUN = 1        ///< the call: equal on every run, for any thread count
};

/// What meaning. All of it acts together; docs/semantics.md says how. Zeros are plain attention.
typedef struct strobe_options {
  int64_t struct_size;
  int32_t causal;       ///< 1: no key after the row's own position
  strobe_align align;   ///< of positions, for causal, window, chunk and ALiBi
  int32_t has_window;   ///< 1: left and right count; 0: there is no window, and both are 0
  int32_t has_scale;    ///< 1: scale counts; 0: it is 1 / sqrt(head_dim), and `scale` is 0
  int64_t left;         ///< keys before the row's position that it sees; -1: all
  int64_t right;        ///< keys after the row's position that it sees; -1: all
  int64_t chunk;        ///< rows see only keys of their own chunk of positions; 0: off
  int64_t prefix;       ///< the first keys that causal and right never cut; 0: off
  int64_t sink_tokens;  ///< the first keys of sequence or chunk, which left never cuts; 0: off
  int64_t block_q;      ///< queries of a block of the map `blocks`; 0: there is no map
  int64_t block_k;      ///< its keys; both or neither
  double scale;         ///< what q.k is multiplied by
  double softcap;       ///< s = softcap * tanh(s / softcap), before bias and ALiBi; 0: off
  double dropout_probability;      ///< of being dropped, in steps of 1 / 65536; 0: off
  uint64_t dropout_seed;           ///< of the call, unless dropout_state is given
  uint64_t dropout_offset;         ///< below 2^27: which use of the seed this is
  int64_t max_seqlen_q;            ///< packed sequences: the longest; 0: read from cu_seqlens
  int64_t max_seqlen_k;            ///< likewise, of the keys
  strobe_determinism determinism;  ///< 0 promises the most
  int32_t reserved;                ///< 0
  int64_t rotary_dim;  ///< decode: the first dimensions of q and new keys, turned; even; 0: off
  double rotary_base;  ///< decode: angles fall by its powers, unless tables are given; 0: 10000
  int32_t rotary_interleaved;  ///< decode: 1: pairs are neighbours; 0: halves
  int32_t reserved_rotary;     ///< 0
} strobe_options;

/// Writes `struct_size` bytes: zeros, and the size. Give `sizeof(strobe_options)`, as your compiler
/// sees it. STROBE_INVALID_ARGUMENT: null, or smaller than the first version's.
STROBE_API strobe_code strobe_options_init(strobe_options* options, int64_t struct_size);

/// What memory. Any strides, only dim must be contiguous; inputs may overlap each other, no element
/// of an output may be another's or an input's. Needed are q, k, v and o; an output given is an
/// output wanted. Packed sequences drop the batch axis: [total, heads, dim] with both cu_seqlens.
/// Axes of pair tensors (from key_begin to bias) that have size 1, or stride 0, are broadcast.
typedef struct strobe_forward_args {
  int64_t struct_size;
  const strobe_options* options;  ///< null: all defaults
  strobe_tensor q;                ///< [batch, seqlen_q, num_heads, head_dim]
  strobe_tensor k;                ///< [batch, seqlen_k, num_heads_kv, head_dim]
  strobe_tensor v;                ///< [batch, seqlen_k, num_heads_kv, head_dim_v]
  strobe_tensor o;                ///< written: [batch, seqlen_q, num_heads, head_dim_v], q's or f32
  strobe_tensor lse;            ///< written: [batch, num_heads, seqlen_q]; [num_heads, total]; f32,
                                ///< for f64 f64
  strobe_tensor cu_seqlens_q;   ///< i32 [batch + 1]: sequence b is rows [cu[b], cu[b + 1])
  strobe_tensor cu_seqlens_k;   ///< i32 [batch + 1]
  strobe_tensor seqlens_q;      ///< i32 [batch]: shortens sequences, from the end
  strobe_tensor seqlens_k;      ///< i32 [batch]
  strobe_tensor key_begin;      ///< i32 [batch, num_heads, seqlen_q]: the first key seen
  strobe_tensor key_end;        ///< i32, likewise: one past the last key seen
  strobe_tensor allowed;        ///< bool [batch, num_heads, seqlen_q, seqlen_k]: may attend
  strobe_tensor blocks;         ///< bool, as allowed, for whole blocks of block_q x block_k
  strobe_tensor bias;           ///< f32 or q's type, shaped as allowed; -inf masks
  strobe_tensor alibi_slopes;   ///< [num_heads] or [batch, num_heads], f32; or f64 for f64
  strobe_tensor sink_logits;    ///< [num_heads], likewise: one more score, without a value
  strobe_tensor dropout_state;  ///< u64 [2]: seed and offset, read at run instead of options'
} strobe_forward_args;

/// As strobe_options_init, with `sizeof(strobe_forward_args)`.
STROBE_API strobe_code strobe_forward_args_init(strobe_forward_args* args, int64_t struct_size);

/// What memory decode works on. Sequence b has cache_seqlens[b] keys in the cache; with k and v it
/// gets seqlen_new more (of seqlens_new[b] where given), which are written behind them in this call
/// and seen by it. The caller advances cache_seqlens. Without a page table sequence b has entry b
/// of the cache, or cache_batch_idx[b]; with one its slot s lies in page page_table[b][s /
/// page_size] at place s % page_size, and pages may serve several sequences. Needed are q, o,
/// k_cache, v_cache and cache_seqlens. Keys count from slot 0, also in key_begin to bias.
typedef struct strobe_decode_args {
  int64_t struct_size;
  const strobe_options* options;  ///< null: all defaults; no dropout, no max_seqlen
  strobe_tensor q;                ///< [batch, seqlen_q, num_heads, head_dim]
  strobe_tensor k;                ///< [batch, seqlen_new, num_heads_kv, head_dim]; not given: no
                                  ///< new keys
  strobe_tensor v;                ///< [batch, seqlen_new, num_heads_kv, head_dim_v]; with k
  strobe_tensor o;                ///< written: [batch, seqlen_q, num_heads, head_dim_v], q's or f32
  strobe_tensor lse;              ///< written: [batch, num_heads, seqlen_q]; f32, for f64 f64
  strobe_tensor k_cache;  ///< [cache_batch, capacity, num_heads_kv, head_dim], or in pages [pages,
                          ///< page_size, num_heads_kv, head_dim]; written where k is given
  strobe_tensor v_cache;  ///< likewise, with head_dim_v
  strobe_tensor page_table;       ///< i32 [batch, max_pages]; given: the cache is paged
  strobe_tensor cache_seqlens;    ///< i32 [batch]: keys of each sequence before the call
  strobe_tensor cache_batch_idx;  ///< i32 [batch]: the entry that a sequence has
  strobe_tensor leftpad_k;        ///< i32 [batch]: the first slots, which hold no key
  strobe_tensor seqlens_q;        ///< i32 [batch]: shortens the queries, from the end
  strobe_tensor seqlens_new;      ///< i32 [batch]: shortens the new keys, from the end
  strobe_tensor rotary_cos;       ///< [positions, rotary_dim / 2], f32 or q's type; both or neither
  strobe_tensor rotary_sin;       ///< likewise
  strobe_tensor key_begin;        ///< i32 [batch, num_heads, seqlen_q]: the first key seen
  strobe_tensor key_end;          ///< i32, likewise: one past the last key seen
  strobe_tensor allowed;  ///< bool [batch, num_heads, seqlen_q, seqlen_k]: may attend; seqlen_k
                          ///< is at least the longest length
  strobe_tensor blocks;   ///< bool, as allowed, for whole blocks of block_q x block_k
  strobe_tensor bias;     ///< f32 or q's type, shaped as allowed; -inf masks
  strobe_tensor alibi_slopes;  ///< [num_heads] or [batch, num_heads], f32; or f64 for f64
  strobe_tensor sink_logits;   ///< [num_heads], likewise: one more score, without a value
  strobe_tensor k_scale;       ///< f32, of a quantised cache: [1], [num_heads_kv], k_cache's shape
                          ///< without dim, or with ceil(dim / 32) for dim; the last two are written
                          ///< where k is given
  strobe_tensor v_scale;  ///< likewise, for v_cache
} strobe_decode_args;

/// As strobe_options_init, with `sizeof(strobe_decode_args)`.
STROBE_API strobe_code strobe_decode_args_init(strobe_decode_args* args, int64_t struct_size);

// ---- where it runs ------------------------------------------------------------------------------

/// One worker's share of a call. It throws nothing and does not call the executor again.
typedef void (*strobe_body)(void* argument);
/// Runs work on threads of the caller's: calls body(argument) `workers` times, at once, one after
/// the other or anything between, and returns when all calls have. A plain loop is correct.
typedef void (*strobe_parallel)(void* context, int32_t workers, strobe_body body, void* argument);

/// Persistent threads; the one that calls takes part. One call at a time, others wait their turn.
typedef struct strobe_pool strobe_pool;

/// `threads` counts the caller: 4 starts three. 0: one for each core this process may use.
/// STROBE_OUT_OF_MEMORY when the system refuses a thread. `*pool` is null after a failure.
STROBE_API strobe_code strobe_pool_create(int32_t threads, strobe_pool** pool);
/// How many threads, the caller included. -1 and an error where `pool` is null.
STROBE_API int32_t strobe_pool_size(const strobe_pool* pool);
/// Ends its threads. Nobody may be using it. Null is fine.
STROBE_API void strobe_pool_destroy(strobe_pool* pool);

/// Cores that this process may use (its CPU affinity counts).
STROBE_API int32_t strobe_available_threads(void);

/// Where a call runs: on `pool`, or through `parallel`, or on the calling thread.
typedef struct strobe_exec {
  int64_t struct_size;
  strobe_pool* pool;         ///< null: none
  strobe_parallel parallel;  ///< an executor of the caller's instead of a pool; null: none
  void* context;             ///< handed to `parallel`
  void* workspace;           ///< of any alignment; null: none
  int64_t workspace_bytes;   ///< of `workspace`; at least strobe_plan_workspace_bytes
} strobe_exec;

/// As strobe_options_init, with `sizeof(strobe_exec)`.
STROBE_API strobe_code strobe_exec_init(strobe_exec* exec, int64_t struct_size);

// ---- attention ----------------------------------------------------------------------------------

/// Computes o and, where given, lse = log(sum over the visible keys of exp(s)), natural logarithm,
/// the sink logit included, dropout not. A row that sees no key gets o = 0 and lse = -inf, or the
/// sink logit. Equal bits on every run and for any number of threads. `exec` may be null. Without
/// an executor it starts threads for the call when the work is worth it; without a workspace it
/// allocates one.
STROBE_API strobe_code strobe_forward(const strobe_forward_args* args, const strobe_exec* exec);

/// Appends k and v to the cache where they are given, then attends over it: the meaning of
/// strobe_forward and, for the same keys, its bits, whatever pages, batch or threads. `exec` may be
/// null, as for strobe_forward.
STROBE_API strobe_code strobe_decode(const strobe_decode_args* args, const strobe_exec* exec);

// ---- plans --------------------------------------------------------------------------------------

/// The decision for a problem, made once: kernel, tiles, workspace. Runs often, from many threads
/// at once if each brings its own workspace. Keeps no pointer of the caller's.
typedef struct strobe_plan strobe_plan;

/// What is computed for a problem.
typedef int32_t strobe_op;
enum { STROBE_OP_FORWARD = 0, STROBE_OP_DECODE = 1 };

/// What a plan is made for, besides its problem.
typedef struct strobe_plan_options {
  int64_t struct_size;
  const char* backend;  ///< a ceiling: "cpu", "cpu:avx2", ...; null or "": the best there is
  int32_t threads;      ///< how many workers share the work; 0: one
  int32_t reserved;     ///< 0
  strobe_op op;         ///< of plans from cases; that of plans from args is their function's
  int32_t splits;       ///< decode: parts that the keys of a sequence are cut into; 0: as many as
                        ///< pay; moves work, never bits
} strobe_plan_options;

/// As strobe_options_init, with `sizeof(strobe_plan_options)`.
STROBE_API strobe_code strobe_plan_options_init(strobe_plan_options* options, int64_t struct_size);

/// A plan for the problem that `args` poses, checked as strobe_forward does; lengths are the most
/// that may be run. `options` may be null. STROBE_UNSUPPORTED when no kernel takes the problem,
/// STROBE_DEVICE when this machine lacks the backend. `*plan` is null after a failure.
STROBE_API strobe_code strobe_plan_create(const strobe_forward_args* args,
                                          const strobe_plan_options* options, strobe_plan** plan);
/// The same for strobe_decode.
STROBE_API strobe_code strobe_plan_create_decode(const strobe_decode_args* args,
                                                 const strobe_plan_options* options,
                                                 strobe_plan** plan);
/// The same for a case, "b2 h8/2 q333 d128 bf16 causal": docs/cases.md has the grammar.
STROBE_API strobe_code strobe_plan_create_from_case(const char* case_text,
                                                    const strobe_plan_options* options,
                                                    strobe_plan** plan);
/// Null is fine.
STROBE_API void strobe_plan_destroy(strobe_plan* plan);

/// Bytes that a run needs beside inputs and outputs: enough for every length up to the plan's. -1
/// and an error where `plan` is null.
STROBE_API int64_t strobe_plan_workspace_bytes(const strobe_plan* plan);
/// The kernel's name, "cpu:avx512 forward f32". Valid as long as the plan. Null and an error where
/// `plan` is null.
STROBE_API const char* strobe_plan_kernel(const strobe_plan* plan);
/// The problem as a case: what `strobe check` and strobe_plan_create_from_case read. Valid as long
/// as the plan. Null and an error where `plan` is null.
STROBE_API const char* strobe_plan_case(const strobe_plan* plan);

/// Runs on tensors of the plan's problem; sequences may be shorter. `exec` must have a workspace;
/// without an executor the calling thread does all. Allocates nothing. `args->options` may be null,
/// as the plan has them; options that differ from the plan's are an error.
STROBE_API strobe_code strobe_plan_run(const strobe_plan* plan, const strobe_forward_args* args,
                                       const strobe_exec* exec);

/// The same for a plan whose op is decode.
STROBE_API strobe_code strobe_plan_run_decode(const strobe_plan* plan,
                                              const strobe_decode_args* args,
                                              const strobe_exec* exec);

// ---- parts of the keys --------------------------------------------------------------------------

/// What strobe_forward or strobe_decode gave for some of the keys of every row, computed without
/// sink logits. This struct does not grow.
typedef struct strobe_partial {
  strobe_tensor o;    ///< [batch, seqlen_q, num_heads, head_dim_v], f32; or f64 with f64
  strobe_tensor lse;  ///< [batch, num_heads, seqlen_q], of o's type
} strobe_partial;

/// Parts that see no key twice.
typedef struct strobe_merge_args {
  int64_t struct_size;
  const strobe_partial* parts;  ///< [num_parts], folded in this order
  int64_t num_parts;            ///< at least 1
  strobe_tensor o;              ///< written: as a part's o; f32, f16 or bf16; f64 for f64 parts
  strobe_tensor lse;            ///< written: as a part's lse; not given: not wanted
  strobe_tensor sink_logits;    ///< [num_heads], of the parts' type: added once
} strobe_merge_args;

/// As strobe_options_init, with `sizeof(strobe_merge_args)`.
STROBE_API strobe_code strobe_merge_args_init(strobe_merge_args* args, int64_t struct_size);

/// o and lse over the keys of all parts. A part whose lse is -inf has seen nothing, and its o is
/// not read. `exec` may be null. Allocates some 200 bytes a part.
STROBE_API strobe_code strobe_merge(const strobe_merge_args* args, const strobe_exec* exec);

// ---- helpers of decoding ------------------------------------------------------------------------

/// One page's content to another. This struct does not grow.
typedef struct strobe_page_copy {
  int32_t from;
  int32_t to;
} strobe_page_copy;

/// Copies pages of k_cache and v_cache, [pages, page_size, num_heads_kv, dim] each, in the order of
/// `copies`, [count]: what a sequence needs that goes on where another ends in the middle of a
/// page. STROBE_INVALID_ARGUMENT, before anything is written, for a page that is not there.
STROBE_API strobe_code strobe_copy_pages(const strobe_tensor* k_cache, const strobe_tensor* v_cache,
                                         const strobe_page_copy* copies, int64_t count);

/// How a model stretches positions beyond those it was trained on.
typedef int32_t strobe_rotary_scaling;
enum {
  STROBE_ROTARY_SCALING_NONE = 0,
  STROBE_ROTARY_SCALING_LINEAR = 1,  ///< positions are divided by `factor`
  STROBE_ROTARY_SCALING_NTK = 2,     ///< base grows by factor^(dim / (dim - 2))
  STROBE_ROTARY_SCALING_LLAMA3 = 3   ///< slow pairs are divided by `factor`, fast ones not
};

/// Tables of rotary embedding for positions [0, positions).
typedef struct strobe_rotary_tables {
  int64_t struct_size;
  float* cos;  ///< written: [positions, dim / 2], row-major: what rotary_cos takes
  float* sin;  ///< written: likewise
  int64_t positions;
  int64_t dim;                    ///< of rotary_dim, even
  double base;                    ///< 0: 10000
  double factor;                  ///< at least 1; 0: 1
  double low_freq_factor;         ///< llama3: wavelengths above original / low are stretched; 0: 1
  double high_freq_factor;        ///< llama3: wavelengths below original / high are not; 0: 4
  int64_t original_positions;     ///< llama3: positions that the model was trained on; 0: 8192
  strobe_rotary_scaling scaling;  ///< 0: none
  int32_t reserved;               ///< 0
} strobe_rotary_tables;

/// As strobe_options_init, with `sizeof(strobe_rotary_tables)`.
STROBE_API strobe_code strobe_rotary_tables_init(strobe_rotary_tables* tables, int64_t struct_size);
/// Writes cos and sin. STROBE_INVALID_ARGUMENT: an odd dim, a factor below 1, a null pointer.
STROBE_API strobe_code strobe_fill_rotary_tables(const strobe_rotary_tables* tables);

// ---- masks in memory ----------------------------------------------------------------------------

/// Which keys the rows of one sequence, or of one head of it, may see: those that mask, documents
/// and prefixes all show. In a tensor for several sequences or heads, key_begin and key_end point
/// to the part of this one. The options of strobe_forward_args act as well: what one of the two
/// hides the other does not show.
typedef struct strobe_key_intervals {
  int64_t struct_size;
  const strobe_options* options;  ///< only their mask counts; it has no sink tokens and no blocks,
                                  ///< and its align says where the rows sit; null: all keys
  int32_t* key_begin;             ///< written: [seqlen_q]: the first key seen
  int32_t* key_end;               ///< written: [seqlen_q]: one past the last key seen
  int64_t seqlen_q;               ///< how many queries the sequence has
  int64_t seqlen_k;               ///< how many keys
  int64_t num_documents;          ///< how many documents cu_seqlens has
  const int32_t* cu_seqlens;      ///< [num_documents + 1]: rows see keys of their own document, at
                                  ///< positions [cu[d], cu[d + 1]), or none; null: no documents
  const int32_t* prefixes;        ///< [num_documents]: documents are causal but for their first
                                  ///< prefixes[d] keys, which all their rows see; null: not causal
} strobe_key_intervals;

/// As strobe_options_init, with `sizeof(strobe_key_intervals)`.
STROBE_API strobe_code strobe_key_intervals_init(strobe_key_intervals* intervals,
                                                 int64_t struct_size);
/// Writes key_begin and key_end. STROBE_INVALID_ARGUMENT: a size below 0 or beyond i32, a mask that
/// one interval a row cannot say, cu_seqlens that fall or pass seqlen_k, a negative prefix,
/// prefixes without documents, or a null pointer where numbers are needed.
STROBE_API strobe_code strobe_fill_key_intervals(const strobe_key_intervals* intervals);

/// cu_seqlens, [count + 1], of `count` documents or packed sequences that lie one after the other,
/// from their lengths, [count]. STROBE_INVALID_ARGUMENT: a negative length, a sum beyond i32.
STROBE_API strobe_code strobe_cu_seqlens_of_lengths(const int32_t* lengths, int64_t count,
                                                    int32_t* cu_seqlens);
/// The same from one id for each token, [count], any number: a document is a run of equal ids, and
/// none may come back after another. Writes *num_documents, and that many entries and one more of
/// cu_seqlens, which has `room` for so many; count + 1 always suffice. STROBE_INVALID_ARGUMENT: an
/// id that comes back, too little room. Allocates 4 bytes a document.
STROBE_API strobe_code strobe_cu_seqlens_of_ids(const int32_t* ids, int64_t count,
                                                int32_t* cu_seqlens, int64_t room,
                                                int64_t* num_documents);

/// Writes `allowed`, bool [1, 1, count, seqlen_k] row-major, for a tree of `count` drafted tokens
/// that are the last of seqlen_k keys. Token i sees the context before them, itself, and its
/// parent, that one's parent and so on. parents[i], of [count], is a token before i, or -1 for one
/// that follows the context. STROBE_INVALID_ARGUMENT: any other parent, fewer keys than tokens.
STROBE_API strobe_code strobe_fill_draft_tree(const int32_t* parents, int64_t count,
                                              int64_t seqlen_k, uint8_t* allowed);

// ---- words --------------------------------------------------------------------------------------

/// What a plan for this case would do and why: kernel, tiles, workspace, cost, and why every other
/// kernel refuses. `*text` is for strobe_string_destroy, and null after a failure.
STROBE_API strobe_code strobe_explain(const char* case_text, const strobe_plan_options* options,
                                      char** text);
/// The kernels of this build, one line each, with what this machine can run. `*text` likewise.
STROBE_API strobe_code strobe_list_kernels(char** text);
/// Null is fine.
STROBE_API void strobe_string_destroy(char* text);

/// @}

#ifdef __cplusplus
}
#endif

#endif
