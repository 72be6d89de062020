// Causal attention in Rust, through the C interface.
// SPDX-License-Identifier: Apache-2.0
mod strobe;

fn main() {
    let x = vec![0.1f32; 1024 * 8 * 64];
    let mut o = vec![0f32; x.len()];
    let bshd = [1, 1024, 8, 64]; // batch, seqlen, num_heads, head_dim
    let mut options = strobe::Options::new();
    options.causal = 1;
    let mut args = strobe::ForwardArgs::new();
    args.options = &options;
    args.q = strobe::Tensor::of(x.as_ptr(), &bshd);
    args.k = args.q;
    args.v = args.q;
    args.o = strobe::Tensor::of(o.as_mut_ptr(), &bshd);
    if let Err(message) = args.forward() {
        eprintln!("{message}");
        std::process::exit(1);
    }
    println!("{:.3}", o[0]); // every value is 0.1, and so is every average of values
}
