//! The file: who may read it, what its path may be, and what people do to it by hand.

use std::fs;
use std::path::PathBuf;

use callbacks::Callbacks;
use callbacks::handlers::JsonLines;
use callbacks::handlers::json_lines::{RecordingError, ReplayError, replay_blocking};
use callbacks::testing::Recorder;
use serde_json::Value;

use crate::{AGENT, everything, folder, heard, read, records, text};

fn once(json_lines: JsonLines) {
    let callbacks = Callbacks::new().with(json_lines).blocking();
    let run = callbacks.chain_start(&AGENT, Value::Null).start().unwrap();
    run.end(Value::Null).unwrap();
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &PathBuf) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// Prompts are nobody else's business.
    #[test]
    fn a_new_file_is_its_owners() {
        let (folder, path) = folder();
        once(JsonLines::create(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
        let opened = folder.path().join("opened.jsonl");
        once(JsonLines::open(&opened).unwrap());
        assert_eq!(mode(&opened), 0o600);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        once(JsonLines::open(&path).unwrap());
        assert_eq!(mode(&path), 0o640);
        assert_eq!(records(&path).len(), 4);
    }

    #[test]
    fn a_path_that_is_no_text() {
        let (folder, _) = folder();
        let path = folder.path().join(OsStr::from_bytes(b"caf\xe9 \xff.jsonl"));
        once(JsonLines::create(&path).unwrap());
        once(JsonLines::open(&path).unwrap());
        assert_eq!(records(&path).len(), 4);
        let exists = JsonLines::create(&path).unwrap_err().to_string();
        assert!(exists.contains("caf\u{fffd} \u{fffd}.jsonl"), "{exists}");
    }

    /// Through a link, the file that it leads to is written, and has one writer.
    #[test]
    fn links() {
        let (folder, path) = folder();
        let [link, other] = ["link", "other"].map(|name| folder.path().join(name));
        symlink(&path, &link).unwrap();
        let exists = JsonLines::create(&link).unwrap_err();
        assert!(matches!(exists, RecordingError::Exists { .. }), "{exists}");
        assert!(!path.exists());
        let json_lines = JsonLines::open(&link).unwrap();
        fs::hard_link(&path, &other).unwrap();
        for path in [&path, &other] {
            let second = JsonLines::open(path).unwrap_err();
            assert!(matches!(second, RecordingError::InUse { .. }), "{second}");
        }
        once(json_lines);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(read(&records(&path)), read(&records(&link)));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        symlink(&link, folder.path().join("circle.jsonl")).unwrap();
        fs::remove_file(&link).unwrap();
        symlink(folder.path().join("circle.jsonl"), &link).unwrap();
        assert!(JsonLines::open(&link).is_err());
        assert!(JsonLines::read(&link).is_err());
    }

    /// What has no end is not read to its end.
    #[test]
    fn what_is_no_file() {
        let zeros = JsonLines::read("/dev/zero").unwrap_err();
        assert!(
            matches!(zeros, RecordingError::NotARecording { .. }),
            "{zeros}"
        );
        assert!(JsonLines::open("/dev/zero").is_err());
        let (folder, _) = folder();
        for error in [
            JsonLines::open(folder.path()).unwrap_err(),
            JsonLines::read(folder.path()).unwrap_err(),
        ] {
            assert!(matches!(error, RecordingError::Io { .. }), "{error}");
        }
        let directory = JsonLines::create(folder.path()).unwrap_err();
        assert!(
            matches!(directory, RecordingError::Exists { .. }),
            "{directory}"
        );
    }
}

/// Two recordings in one file.
#[tokio::test]
async fn one_appended_to_another() {
    let (folder, path) = folder();
    let recorder = Recorder::new();
    let other = folder.path().join("other.jsonl");
    for path in [&path, &other] {
        let json_lines = JsonLines::create(path).unwrap();
        let callbacks = Callbacks::new().with(json_lines).with(recorder.clone());
        everything(&callbacks).await.unwrap();
    }
    let both = text(&path) + &text(&other);
    let path = folder.path().join("both.jsonl");
    fs::write(&path, &both).unwrap();
    assert_eq!(read(&records(&path)), heard(&recorder.take()));
    let replayed = replay_blocking(&path, &Callbacks::new().with(recorder.clone())).unwrap();
    assert_eq!(read(&records(&path)), heard(&recorder.events()));
    assert_eq!(replayed.events, recorder.len() as u64);
    once(JsonLines::open(&path).unwrap());

    // Of a newer version: an error where it begins, and what comes before is there.
    let newer = both.replacen("\"version\":1", "\"version\":1 ", 1);
    let newer = newer.replacen("\"version\":1}", "\"version\":2}", 1);
    fs::write(&path, newer).unwrap();
    let recorder = Recorder::new();
    let error = replay_blocking(&path, &Callbacks::new().with(recorder.clone())).unwrap_err();
    assert!(
        error.to_string().contains("a recording with version 2"),
        "{error}"
    );
    assert_eq!(recorder.len(), read(&records(&other)).len());
}

/// As editors leave it: other ends of lines, blank lines, none at the end.
#[tokio::test]
async fn edited_by_hand() {
    let (_folder, path) = folder();
    let recorder = Recorder::new();
    let callbacks = Callbacks::new()
        .with(JsonLines::create(&path).unwrap())
        .with(recorder.clone());
    everything(&callbacks).await.unwrap();
    drop(callbacks);
    let (written, events) = (text(&path), heard(&recorder.events()));
    for edited in [
        written.replace('\n', "\r\n"),
        written.replace('\n', "\n\n \t\r\n"),
        written.replace('\n', " \n"),
        written.trim_end().to_owned(),
        written.trim_end().replace('\n', "\r\n"),
        written.clone() + "\n\n",
        written.clone() + " ",
    ] {
        fs::write(&path, edited).unwrap();
        let mut recording = JsonLines::read(&path).unwrap();
        let there: Vec<_> = recording.by_ref().map(Result::unwrap).collect();
        assert_eq!(read(&there), events);
        // And it is appended to.
        once(JsonLines::open(&path).unwrap());
        assert_eq!(records(&path).len(), events.len() + 2);
    }
}

/// An event of a newer version of the crate is an error that says so, and can be passed over.
#[tokio::test]
async fn an_event_that_is_not_known() {
    let (_folder, path) = folder();
    once(JsonLines::create(&path).unwrap());
    let written = text(&path);
    let lines: Vec<_> = written.lines().collect();
    let unknown = lines[2].replacen(
        "\"ChainEnd\":{",
        "\"ChainPaused\":{\"reason\":\"sleep\",",
        1,
    );
    let [header, start, end] = lines[..] else {
        panic!("{written}");
    };
    fs::write(&path, [header, start, &unknown, end, ""].join("\n")).unwrap();
    let (mut good, mut bad) = (0, Vec::new());
    for record in JsonLines::read(&path).unwrap() {
        match record {
            Ok(_) => good += 1,
            Err(error) => bad.push(error),
        }
    }
    assert_eq!(good, 2);
    let [RecordingError::UnknownEvent { line: 3, event, .. }] = &bad[..] else {
        panic!("{bad:?}");
    };
    assert_eq!(event, "ChainPaused");
    assert!(
        bad[0].to_string().contains("update `callbacks`"),
        "{}",
        bad[0]
    );
    let recorder = Recorder::new();
    let error = replay_blocking(&path, &Callbacks::new().with(recorder.clone())).unwrap_err();
    let ReplayError::Recording(RecordingError::UnknownEvent { .. }) = error else {
        panic!("{error}");
    };
    recorder.assert_balanced();
    // What it says of its run is understood.
    let unknown = start.replacen("\"ChainStart\"", "\"ChainQueued\"", 1);
    fs::write(&path, [header, &unknown, end, ""].join("\n")).unwrap();
    let all: Vec<_> = JsonLines::read(&path).unwrap().collect();
    assert!(
        matches!(&all[..], [Err(_), Ok(end)] if end.run().name() == "Agent"),
        "{all:?}"
    );
    // What is unknown within an event is damage.
    let damaged = end.replacen(
        "\"ChainEnd\":{\"outputs\":null",
        "\"ChainError\":{\"error\":{\"kind\":\"tired\"}",
        1,
    );
    fs::write(&path, [header, start, &damaged, ""].join("\n")).unwrap();
    let error = JsonLines::read(&path)
        .unwrap()
        .find_map(Result::err)
        .unwrap();
    assert!(
        matches!(error, RecordingError::Line { line: 3, .. }),
        "{error}"
    );
}

/// Fields that are not known are passed over, and those that are missing are damage.
#[test]
fn fields() {
    let (_folder, path) = folder();
    once(JsonLines::create(&path).unwrap());
    let more = text(&path)
        .replace("{\"seq\":", "{\"more\":{},\"seq\":")
        .replace("\"run\":{", "\"run\":{\"more\":[1],")
        .replace("\"ChainEnd\":{", "\"ChainEnd\":{\"more\":null,");
    fs::write(&path, &more).unwrap();
    assert_eq!(records(&path).len(), 2);
    for field in ["seq", "time", "run", "event", "started_at", "kind", "name"] {
        fs::write(
            &path,
            more.replacen(&format!("\"{field}\":"), "\"other\":", 1),
        )
        .unwrap();
        let first = JsonLines::read(&path).unwrap().next().unwrap();
        assert!(first.is_err(), "{field}");
    }
}
