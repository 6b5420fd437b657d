//! Archives in the "newc" format of cpio, which the kernel unpacks as its first file system
//! (its documentation: `driver-api/early-userspace/buffer-format`). Everything in them belongs to root.

use crate::Result;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// File types, as in `st_mode`.
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive that is being written.
pub(super) struct Archive<W> {
    to: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    /// An empty one.
    pub(super) fn new(to: W) -> Self {
        Self { to, entries: 0 }
    }

    /// Adds a folder.
    pub(super) fn folder(&mut self, name: &str) -> Result {
        self.entry(name.as_bytes(), FOLDER | 0o755, &[])
    }

    /// Adds a file with these permissions.
    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> Result {
        self.entry(name.as_bytes(), FILE | mode, content)
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, name: &str, target: &str) -> Result {
        self.entry(name.as_bytes(), LINK | 0o777, target.as_bytes())
    }

    /// Adds all that is below `folder`, in the order of names.
    pub(super) fn tree(&mut self, folder: &Path) -> Result {
        self.below(folder, folder)
    }

    fn below(&mut self, root: &Path, folder: &Path) -> Result {
        let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(fail)? {
            paths.push(entry.map_err(fail)?.path());
        }
        paths.sort();
        for path in paths {
            let fail = |e: std::io::Error| format!("{}: {e}", path.display());
            let name = path.strip_prefix(root).unwrap_or(&path).as_os_str();
            let meta = fs::symlink_metadata(&path).map_err(fail)?;
            let mode = meta.permissions().mode() & 0o777;
            if meta.is_symlink() {
                let target = fs::read_link(&path).map_err(fail)?;
                let target = target.as_os_str().as_bytes();
                self.entry(name.as_bytes(), LINK | 0o777, target)?;
            } else if meta.is_dir() {
                self.entry(name.as_bytes(), FOLDER | mode, &[])?;
                self.below(root, &path)?;
            } else if meta.is_file() {
                let content = fs::read(&path).map_err(fail)?;
                self.entry(name.as_bytes(), FILE | mode, &content)?;
            }
        }
        Ok(())
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> Result<W> {
        self.entry(b"TRAILER!!!", 0, &[])?;
        self.to.flush().map_err(|e| e.to_string())?;
        Ok(self.to)
    }

    /// A header of thirteen numbers in hexadecimal, the name, the content, the latter two padded to four bytes.
    fn entry(&mut self, name: &[u8], mode: u32, content: &[u8]) -> Result {
        self.entries += 1;
        let length = u32::try_from(content.len()).map_err(|_| "a file is too large for cpio")?;
        let links = if mode & FOLDER != 0 { 2 } else { 1 };
        let numbers = [
            self.entries,
            mode,
            0,
            0,
            links,
            0,
            length,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            0,
        ];
        let mut text = String::from("070701");
        for number in numbers {
            text.push_str(&format!("{number:08x}"));
        }
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(name);
        bytes.push(0);
        pad(&mut bytes);
        bytes.extend_from_slice(content);
        pad(&mut bytes);
        self.to.write_all(&bytes).map_err(|e| e.to_string())
    }
}

/// Fills up to a multiple of four.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_as_the_format_says() {
        let mut archive = Archive::new(Vec::new());
        archive.file("a", 0o644, b"hello").expect("a file fits");
        let bytes = archive.finish().expect("memory takes it");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("07070100000001000081a4"));
        // The header's 110 bytes, "a" and its end, the content from 112 on, padded to 120.
        assert_eq!(&bytes[110..120], b"a\0hello\0\0\0");
        assert!(text[120..].starts_with("070701"));
        assert!(text.contains("TRAILER!!!"));
        assert_eq!(bytes.len() % 4, 0);
    }
}
