//! A file that is replaced as a whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use uuid::Uuid;

/// Writes the file, such that whoever reads it never finds half of it. Whoever may read it may read
/// it afterwards; a new one is its owner's.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // Through a link, what it leads to is replaced.
    let found = fs::canonicalize(path);
    let path = found.as_deref().unwrap_or(path);
    let beside = path.with_file_name(name_beside(path));
    let written = write(&beside, path, content).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // It may not be there at all.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// No other one's: there may be several who write the same file.
fn name_beside(path: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", Uuid::now_v7()));
    name
}

fn write(beside: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = create(beside)?;
    if let Ok(before) = fs::metadata(path) {
        file.set_permissions(before.permissions())?;
    }
    file.write_all(content)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
