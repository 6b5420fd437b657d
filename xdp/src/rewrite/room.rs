//! Changing a frame's size, which only its owner can do.

use super::sum_of;
use crate::packet::Frame;

/// The owner of a frame: the kernel (`bpf_xdp_adjust_head`, `bpf_xdp_adjust_tail`), on the host a buffer.
///
/// After a change of size every [`Frame`] taken before is void; take a new one.
pub trait Room {
    /// The frame as it is now.
    fn frame(&self) -> Frame;
    /// Makes room of `bytes` before the first byte; what is in it is not defined.
    fn grow(&mut self, bytes: usize) -> Option<()>;
    /// Takes the first `bytes` away.
    fn shrink(&mut self, bytes: usize) -> Option<()>;
    /// Makes the frame `length` bytes long, by its tail; what is added is not defined.
    fn cut(&mut self, length: usize) -> Option<()>;
    /// [`sum_of`] its frame: the kernel has it as a function of its own, which the verifier looks at once.
    fn sum(&self, at: usize, length: usize) -> u64 {
        sum_of(self.frame(), at, length)
    }
}
