//! A frame on the host.

use std::{cell::Cell, vec::Vec};

use crate::{packet::Frame, rewrite::Room};

/// Bytes before the frame that it may grow into, as many as XDP gives.
const HEADROOM: usize = 256;

/// A frame that can change its size, as the kernel's can.
pub struct Buffer {
    bytes: Vec<Cell<u8>>,
    start: usize,
}

impl Buffer {
    /// A copy of a frame.
    pub fn new(frame: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(HEADROOM + frame.len());
        bytes.resize(HEADROOM, Cell::new(0xa5));
        bytes.extend(frame.iter().copied().map(Cell::new));
        Self {
            bytes,
            start: HEADROOM,
        }
    }

    /// What is in it now.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes[self.start..].iter().map(Cell::get).collect()
    }
}

impl Room for Buffer {
    fn frame(&self) -> Frame {
        let start = self.bytes.as_ptr() as usize;
        // SAFETY: cells may be written through a shared reference; users of `Room` take a new frame after each change.
        unsafe { Frame::new(start + self.start, start + self.bytes.len()) }
    }

    fn grow(&mut self, bytes: usize) -> Option<()> {
        self.start = self.start.checked_sub(bytes)?;
        Some(())
    }

    fn shrink(&mut self, bytes: usize) -> Option<()> {
        // The kernel insists on an Ethernet header.
        (self.bytes.len() >= self.start + bytes + 14).then(|| self.start += bytes)
    }

    fn cut(&mut self, length: usize) -> Option<()> {
        self.bytes.resize(self.start + length, Cell::new(0xa5));
        Some(())
    }
}
