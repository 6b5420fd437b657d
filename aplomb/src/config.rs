//! Configuration files: reading them, and the secrets they refer to.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use control::config::{Admitted, Diagnostics, Sources, limits, parse};

/// The longest secret, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// This process's environment and this machine's files, with relative paths beginning at a folder.
#[derive(Clone, Debug)]
pub struct Surroundings {
    directory: PathBuf,
}

impl Surroundings {
    /// Those of a configuration whose relative paths begin at `directory`.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Those of the configuration file at `path`.
    #[must_use]
    pub fn of_file(path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
        Self::at(absolute.parent().unwrap_or(&absolute))
    }
}

impl Sources for Surroundings {
    fn env(&self, name: &str) -> Result<String, String> {
        std::env::var(name).map_err(|error| error.to_string())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        read_at_most(&self.directory.join(path), MAX_SECRET)
    }
}

/// The text of the configuration file at `path`.
///
/// # Errors
/// Why it cannot be had, in words.
pub fn read(path: &Path) -> Result<String, String> {
    // One byte more than is taken: `parse` says that it is too long.
    read_at_most(path, limits::TEXT as u64 + 1)
        .map_err(|why| format!("cannot read {}: {why}", path.display()))
}

/// The configuration `text` of the file at `path`.
///
/// # Errors
/// All that is wrong with it.
pub fn admit(text: &str, path: &Path) -> Result<Admitted, Diagnostics> {
    parse(
        text,
        &path.display().to_string(),
        &Surroundings::of_file(path),
    )
}

fn read_at_most(path: &Path, limit: u64) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let length = file
        .take(limit + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if length as u64 > limit {
        return Err(format!("it is longer than {limit} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn files_begin_at_the_folder_of_the_config() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "s3cret").unwrap();
        std::fs::write(dir.path().join("huge"), vec![b'x'; 70_000]).unwrap();
        let sources = Surroundings::of_file(&dir.path().join("aplomb.toml"));
        assert_eq!(sources.file(Path::new("token")), Ok("s3cret".into()));
        assert!(sources.file(Path::new("huge")).is_err());
        assert!(sources.file(Path::new("missing")).is_err());
        assert!(sources.env("APLOMB_SURELY_NOT_SET").is_err());
    }
}
