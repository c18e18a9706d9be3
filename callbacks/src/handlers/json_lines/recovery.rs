//! Opening the file of a recording: it has one writer, a first line, and no torn line at its end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::RecordingError;
use super::line::{self, HEADER, Header, VERSION};

/// No first line is as long as this.
pub(super) const LONGEST_HEADER: u64 = 4096;

/// A file that is ready for lines to be appended, and its length.
pub(super) type Ready = (File, u64);

/// Makes the file.
pub(super) fn create(path: &Path) -> Result<Ready, RecordingError> {
    let created = appending().create_new(true).open(path);
    let file = created.map_err(|source| {
        if source.kind() == ErrorKind::AlreadyExists {
            let path = path.to_owned();
            return RecordingError::Exists { path };
        }
        RecordingError::io(path, "create")(source)
    })?;
    lock(&file, path)?;
    begin(file, path).inspect_err(|_| {
        // It is in the way of whoever tries again. What is reported is the error before.
        let _ = fs::remove_file(path);
    })
}

/// Opens the file, and makes it if it is not there.
pub(super) fn open(path: &Path) -> Result<Ready, RecordingError> {
    let fails = |action| RecordingError::io(path, action);
    let opened = appending().read(true).create(true).open(path);
    let file = opened.map_err(fails("open"))?;
    if !file.metadata().map_err(fails("open"))?.is_file() {
        let error = io::Error::new(ErrorKind::InvalidInput, "it is not a file");
        return Err(fails("open")(error));
    }
    lock(&file, path)?;
    let mut first = Vec::new();
    let mut start = (&file).take(LONGEST_HEADER);
    start.read_to_end(&mut first).map_err(fails("read"))?;
    if !check_header(&first, path)? {
        file.set_len(0).map_err(fails("repair"))?;
        return begin(file, path);
    }
    let (end, torn) = last_line(&file).map_err(fails("read"))?;
    if torn.is_empty() {
        Ok((file, end))
    } else if line::is_whole(&torn) {
        (&file).write_all(b"\n").map_err(fails("repair"))?;
        Ok((file, end + torn.len() as u64 + 1))
    } else {
        file.set_len(end).map_err(fails("repair"))?;
        Ok((file, end))
    }
}

/// Whether the file begins with a whole first line. One that is empty, or has a part of it, does not.
///
/// # Errors
///
/// If it is none of our files.
pub(super) fn check_header(start: &[u8], path: &Path) -> Result<bool, RecordingError> {
    let not_ours = || RecordingError::NotARecording {
        path: path.to_owned(),
    };
    let Some(end) = start.iter().position(|byte| *byte == b'\n') else {
        let torn = HEADER.as_bytes().starts_with(start);
        return torn.then_some(false).ok_or_else(not_ours);
    };
    match start.get(..end).and_then(Header::version) {
        Some(1..=VERSION) => Ok(true),
        Some(version @ VERSION..) => Err(RecordingError::Newer {
            path: path.to_owned(),
            version,
        }),
        _ => Err(not_ours()),
    }
}

/// What prompts and answers say is in there, so a new file is its owner's.
fn appending() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn begin(file: File, path: &Path) -> Result<Ready, RecordingError> {
    let written = (&file).write_all(HEADER.as_bytes());
    written.map_err(RecordingError::io(path, "write to"))?;
    Ok((file, HEADER.len() as u64))
}

/// Two writers would cut off each other's lines. Where files cannot be locked, that is up to the user.
fn lock(file: &File, path: &Path) -> Result<(), RecordingError> {
    // On Windows, a file that is locked cannot be read.
    if cfg!(windows) {
        return Ok(());
    }
    match file.try_lock() {
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(RecordingError::InUse {
            path: path.to_owned(),
        }),
    }
}

/// Where the last line with an end ends, and what comes after it.
fn last_line(mut file: &File) -> io::Result<(u64, Vec<u8>)> {
    let mut block = [0; 8192];
    let mut start = file.seek(SeekFrom::End(0))?;
    let mut end = 0;
    while start > 0 {
        let before = start.saturating_sub(block.len() as u64);
        let size = usize::try_from(start - before).unwrap_or(block.len());
        start = file.seek(SeekFrom::Start(before))?;
        file.read_exact(&mut block[..size])?;
        if let Some(at) = block[..size].iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
    }
    let mut torn = Vec::new();
    file.seek(SeekFrom::Start(end))?;
    file.read_to_end(&mut torn)?;
    Ok((end, torn))
}
