//! Numbers in a file that are in the byte order of the machine that wrote it.

/// A file's bytes and their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a> {
    pub(super) file: &'a [u8],
    big: bool,
}

impl<'a> Bytes<'a> {
    pub(super) fn little(file: &'a [u8]) -> Self {
        Self { file, big: false }
    }

    pub(super) fn big(file: &'a [u8]) -> Self {
        Self { file, big: true }
    }

    /// Other bytes in the same order.
    pub(super) fn of(self, file: &'a [u8]) -> Self {
        Self { file, ..self }
    }

    /// The 32-bit number at an offset.
    pub(super) fn u32(self, at: usize) -> Option<u32> {
        let bytes: [u8; 4] = self.slice(at, 4)?.try_into().ok()?;
        Some(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// The 16-bit number at an offset.
    pub(super) fn u16(self, at: usize) -> Option<u16> {
        let bytes: [u8; 2] = self.slice(at, 2)?.try_into().ok()?;
        Some(if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    /// So many bytes from an offset on.
    pub(super) fn slice(self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.file.get(at..at.checked_add(length)?)
    }
}
