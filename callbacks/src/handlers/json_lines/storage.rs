//! Where lines go, and what keeps half a line from staying there.

use std::fs::File;
use std::io::{self, ErrorKind, Write};

/// A file that is appended to.
pub(super) trait Storage {
    /// Writes at the end, as much as it can.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts off what comes after so many bytes.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Has what was written on the disk itself.
    fn sync(&self) -> io::Result<()>;
}

impl Storage for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        Write::write(&mut file, bytes)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Whole lines, as many bytes of them as there are.
#[derive(Debug)]
pub(super) struct Lines {
    length: u64,
    /// Whether there is something behind them that is to be cut off.
    torn: bool,
}

impl Lines {
    pub(super) fn new(length: u64) -> Self {
        let torn = false;
        Self { length, torn }
    }

    /// Appends these lines, or nothing.
    pub(super) fn append(&mut self, storage: &impl Storage, lines: &[u8]) -> io::Result<()> {
        self.mend(storage)?;
        let mut rest = lines;
        while !rest.is_empty() {
            match storage.write(rest) {
                Ok(count @ 1..) => {
                    self.torn = true;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                failed => {
                    // If that fails too, it is tried again before the next line.
                    let _ = self.mend(storage);
                    return Err(failed.err().unwrap_or_else(|| ErrorKind::WriteZero.into()));
                }
            }
        }
        self.torn = false;
        self.length += lines.len() as u64;
        Ok(())
    }

    fn mend(&mut self, storage: &impl Storage) -> io::Result<()> {
        if self.torn {
            storage.cut(self.length)?;
            self.torn = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::delivery::lock;

    /// A disk of so many bytes, which may be unable to cut.
    #[derive(Default)]
    struct Disk(Mutex<(Vec<u8>, usize, bool)>);

    impl Disk {
        fn set(&self, size: usize, cuts: bool) {
            let mut disk = lock(&self.0);
            (disk.1, disk.2) = (size, cuts);
        }

        fn text(&self) -> String {
            String::from_utf8_lossy(&lock(&self.0).0).into_owned()
        }
    }

    impl Storage for Disk {
        fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            let (data, size, _) = &mut *lock(&self.0);
            match bytes.len().min(*size - data.len()).min(2) {
                0 => Err(ErrorKind::StorageFull.into()),
                count => {
                    data.extend(&bytes[..count]);
                    Ok(count)
                }
            }
        }

        fn cut(&self, length: u64) -> io::Result<()> {
            let (data, _, cuts) = &mut *lock(&self.0);
            if !*cuts {
                return Err(ErrorKind::PermissionDenied.into());
            }
            data.truncate(usize::try_from(length).unwrap());
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn half_a_line_never_stays() {
        for (size, cuts) in [4, 5, 6, 7]
            .into_iter()
            .flat_map(|size| [(size, true), (size, false)])
        {
            let (disk, mut lines) = (Disk::default(), Lines::new(0));
            disk.set(size, cuts);
            lines.append(&disk, b"one\n").unwrap();
            let full = lines.append(&disk, b"three\n").unwrap_err();
            assert_eq!(full.kind(), ErrorKind::StorageFull);
            assert_eq!(disk.text() == "one\n", cuts || size == 4);
            disk.set(100, cuts);
            // Nothing is written behind half a line.
            if cuts || size == 4 {
                lines.append(&disk, b"two\n").unwrap();
            } else {
                lines.append(&disk, b"no\n").unwrap_err();
                assert!(!disk.text().contains("no"));
                disk.set(100, true);
                lines.append(&disk, b"two\n").unwrap();
            }
            assert_eq!(disk.text(), "one\ntwo\n");
        }
    }
}
