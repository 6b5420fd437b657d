//! A worker's buffers: taken when data has arrived, given back when it has left, so that idle connections hold none.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    rc::Rc,
};

/// Size of a buffer: one large read, and the largest record of TLS.
pub(crate) const BUFFER_SIZE: usize = 16 << 10;
/// The most buffers kept for later, 4 MiB: what is beyond that was a burst.
const KEPT: usize = 256;

type Bytes = Box<[u8; BUFFER_SIZE]>;

/// The buffers that nobody uses now.
#[derive(Default)]
pub(crate) struct Buffers {
    free: RefCell<Vec<Bytes>>,
}

/// A buffer on loan. Its content is what its last user left there.
pub(crate) struct Buffer {
    /// None only while being dropped.
    bytes: Option<Bytes>,
    home: Rc<Buffers>,
}

impl Buffers {
    /// Lends a buffer.
    pub(crate) fn take(self: &Rc<Self>) -> Buffer {
        let bytes = self.free.borrow_mut().pop();
        Buffer {
            bytes: Some(bytes.unwrap_or_else(new_bytes)),
            home: Rc::clone(self),
        }
    }
}

fn new_bytes() -> Bytes {
    vec![0; BUFFER_SIZE]
        .try_into()
        .expect("the vector is as long as a buffer")
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes.as_deref().map_or(&[], |bytes| bytes)
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.as_deref_mut().map_or(&mut [], |bytes| bytes)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.home.free.borrow_mut();
        if free.len() < KEPT {
            free.extend(self.bytes.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_up_to_a_bound() {
        let home = Rc::new(Buffers::default());
        let mut one = home.take();
        assert_eq!(one.len(), BUFFER_SIZE);
        one[0] = 7;
        drop(one);
        assert_eq!(home.take()[0], 7, "the same one again");
        let many: Vec<Buffer> = (0..KEPT + 10).map(|_| home.take()).collect();
        drop(many);
        assert_eq!(home.free.borrow().len(), KEPT);
    }
}
