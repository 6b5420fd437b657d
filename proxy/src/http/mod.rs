//! HTTP in user space. [`h1`] is the codec.

pub mod h1;
