// What of strobe.h a Rust program declares: structs member by member, functions by name.
// SPDX-License-Identifier: Apache-2.0
use std::ffi::{c_void, CStr};
use std::mem::{size_of, zeroed};
use std::os::raw::c_char;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Tensor {
    pub data: *const c_void,
    pub dtype: i32,
    pub rank: i32,
    pub shape: [i64; 4],
    pub strides: [i64; 4],
    pub reserved: i64,
}

#[repr(C)]
pub struct Options {
    pub struct_size: i64,
    pub causal: i32,
    pub align: i32,
    pub has_window: i32,
    pub has_scale: i32,
    pub left: i64,
    pub right: i64,
    pub chunk: i64,
    pub prefix: i64,
    pub sink_tokens: i64,
    pub block_q: i64,
    pub block_k: i64,
    pub scale: f64,
    pub softcap: f64,
    pub dropout_probability: f64,
    pub dropout_seed: u64,
    pub dropout_offset: u64,
    pub max_seqlen_q: i64,
    pub max_seqlen_k: i64,
    pub determinism: i32,
    pub reserved: i32,
}

#[repr(C)]
pub struct ForwardArgs {
    pub struct_size: i64,
    pub options: *const Options,
    pub q: Tensor,
    pub k: Tensor,
    pub v: Tensor,
    pub o: Tensor,
    pub lse: Tensor,
    pub cu_seqlens_q: Tensor,
    pub cu_seqlens_k: Tensor,
    pub seqlens_q: Tensor,
    pub seqlens_k: Tensor,
    pub key_begin: Tensor,
    pub key_end: Tensor,
    pub allowed: Tensor,
    pub blocks: Tensor,
    pub bias: Tensor,
    pub alibi_slopes: Tensor,
    pub sink_logits: Tensor,
    pub dropout_state: Tensor,
}

extern "C" {
    fn strobe_last_error() -> *const c_char;
    fn strobe_options_init(options: *mut Options, struct_size: i64) -> i32;
    fn strobe_forward_args_init(args: *mut ForwardArgs, struct_size: i64) -> i32;
    fn strobe_tensor_init(
        tensor: *mut Tensor,
        data: *const c_void,
        dtype: i32,
        rank: i32,
        shape: *const i64,
    ) -> i32;
    fn strobe_forward(args: *const ForwardArgs, exec: *const c_void) -> i32;
}

pub const DTYPE_F32: i32 = 1;

fn check(code: i32) -> Result<(), String> {
    if code == 0 {
        return Ok(());
    }
    Err(unsafe { CStr::from_ptr(strobe_last_error()) }.to_string_lossy().into_owned())
}

impl Options {
    pub fn new() -> Options {
        let mut options: Options = unsafe { zeroed() };
        let size = size_of::<Options>() as i64;
        check(unsafe { strobe_options_init(&mut options, size) }).unwrap();
        options
    }
}

impl Tensor {
    /// Row-major f32; the memory must live as long as the tensor is used.
    pub fn of(data: *const f32, shape: &[i64]) -> Tensor {
        let mut tensor: Tensor = unsafe { zeroed() };
        let (data, rank) = (data as *const c_void, shape.len() as i32);
        check(unsafe { strobe_tensor_init(&mut tensor, data, DTYPE_F32, rank, shape.as_ptr()) })
            .unwrap();
        tensor
    }
}

impl ForwardArgs {
    pub fn new() -> ForwardArgs {
        let mut args: ForwardArgs = unsafe { zeroed() };
        let size = size_of::<ForwardArgs>() as i64;
        check(unsafe { strobe_forward_args_init(&mut args, size) }).unwrap();
        args
    }

    pub fn forward(&self) -> Result<(), String> {
        check(unsafe { strobe_forward(self, std::ptr::null()) })
    }
}
