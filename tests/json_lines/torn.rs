//! Recordings that are damaged: by a crash in the middle of a line, or by somebody else.

use std::fs;
use std::path::PathBuf;

use callbacks::Callbacks;
use callbacks::handlers::JsonLines;
use callbacks::handlers::json_lines::{RecordingError, ReplayError, replay_blocking};
use callbacks::testing::Recorder;
use serde_json::Value;

use crate::{AGENT, everything, folder, read, records, text};

/// What one more run says, of three events.
async fn once_more(path: &PathBuf) {
    let callbacks = Callbacks::new().with(JsonLines::open(path).unwrap());
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    run.text("once more").await.unwrap();
    run.end(Value::Null).await.unwrap();
}

#[tokio::test]
async fn the_last_line_is_recovered_wherever_it_is_torn() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    everything(&callbacks).await.unwrap();
    drop(callbacks);
    let (all, events) = (fs::read(&path).unwrap(), read(&records(&path)));
    let before = all[..all.len() - 1].iter().rposition(|byte| *byte == b'\n');
    let start = before.unwrap() + 1;
    for cut in start..=all.len() {
        fs::write(&path, &all[..cut]).unwrap();
        // What is there but for the end of the line counts.
        let whole = cut + 1 >= all.len();
        let left = &events[..events.len() - usize::from(!whole)];

        let mut recording = JsonLines::read(&path).unwrap();
        let there: Vec<_> = recording.by_ref().map(Result::unwrap).collect();
        assert_eq!(read(&there), left, "read, torn at {cut}");
        assert_eq!(recording.is_torn(), !whole && cut > start);

        once_more(&path).await;
        let after = records(&path);
        assert_eq!(read(&after[..left.len()]), left, "opened, torn at {cut}");
        assert_eq!(after.len(), left.len() + 3);
    }
}

#[tokio::test]
async fn so_is_the_first() {
    let (_folder, path) = folder();
    drop(JsonLines::create(&path).unwrap());
    let header = fs::read(&path).unwrap();
    for cut in 0..header.len() {
        fs::write(&path, &header[..cut]).unwrap();
        let mut recording = JsonLines::read(&path).unwrap();
        assert!(recording.next().is_none());
        assert_eq!(recording.is_torn(), cut > 0);
        once_more(&path).await;
        assert_eq!(records(&path).len(), 3);
    }
}

#[tokio::test]
async fn a_line_longer_than_what_is_read_at_once() {
    for size in [8190, 8191, 8192, 100_000] {
        let (_folder, path) = folder();
        once_more(&path).await;
        let whole = text(&path);
        fs::write(&path, format!("{whole}\"{}", "x".repeat(size))).unwrap();
        drop(JsonLines::open(&path).unwrap());
        assert_eq!(text(&path), whole);
    }
}

/// It is one error, with the number of its line, and nothing is made up for it.
#[tokio::test]
async fn a_damaged_line_in_the_middle() {
    let (_folder, path) = folder();
    once_more(&path).await;
    once_more(&path).await;
    let whole = text(&path);
    // The first of the lines is that of the schema.
    for at in 2..=7_usize {
        for damage in ["\u{feff}", "{", "null", "{\"seq\":1}", "\u{0}"] {
            let mut lines: Vec<&str> = whole.lines().collect();
            lines[at - 1] = damage;
            fs::write(&path, lines.join("\n") + "\n").unwrap();
            let (mut good, mut bad) = (0, Vec::new());
            for record in JsonLines::read(&path).unwrap() {
                match record {
                    Ok(_) => good += 1,
                    Err(error @ RecordingError::Line { line, .. }) => {
                        let shown = error.to_string();
                        assert!(shown.contains(&format!("line {line} of `")), "{shown}");
                        bad.push(usize::try_from(line).unwrap());
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            // Without the first line of a run nobody knows its others.
            let expected = if at == 2 || at == 5 { 3 } else { 1 };
            let expected: Vec<_> = (at..at + expected).collect();
            assert_eq!((good, &bad), (6 - expected.len(), &expected));

            let recorder = Recorder::new();
            let callbacks = Callbacks::new().with(recorder.clone());
            match replay_blocking(&path, &callbacks).unwrap_err() {
                ReplayError::Recording(RecordingError::Line { line, .. }) => {
                    assert_eq!(line, at as u64);
                }
                error => panic!("{error}"),
            }
            // What is open there ends, too.
            let open = usize::from(at != 2 && at != 5);
            assert_eq!(recorder.len(), at - 2 + open);
            recorder.assert_balanced();
        }
    }
}

/// What is no recording is left as it is.
#[test]
fn what_cannot_be_opened() {
    let (folder, path) = folder();
    let newer = "{\"schema\":\"callbacks.json_lines\",\"version\":2,\"more\":[]}\n{\"torn";
    let older = "{\"schema\":\"callbacks.json_lines\",\"version\":0}\n";
    let torn = "{\"schema\":\"callbacks.json_lines\",\"version\":1} ";
    for (content, problem) in [
        (
            newer,
            "version 2 of the schema, and this `callbacks` knows 1",
        ),
        (older, "is no recording"),
        (torn, "is no recording"),
        ("{\"schema\":\"others\",\"version\":1}\n", "is no recording"),
        ("a letter\nto somebody\n", "is no recording"),
        ("a letter", "is no recording"),
        ("\n", "is no recording"),
    ] {
        fs::write(&path, content).unwrap();
        let opened = JsonLines::open(&path).unwrap_err().to_string();
        assert!(opened.contains(problem), "{opened}");
        let read = JsonLines::read(&path).unwrap_err().to_string();
        assert!(read.contains(problem), "{read}");
        let replayed = replay_blocking(&path, &Callbacks::new()).unwrap_err();
        assert!(replayed.to_string().contains(problem), "{replayed}");
        assert_eq!(text(&path), content);
    }
    let created = JsonLines::create(&path).unwrap_err().to_string();
    assert!(created.contains("`JsonLines::open`"), "{created}");
    let missing = folder.path().join("no/such/folder.jsonl");
    for error in [
        JsonLines::create(&missing).unwrap_err(),
        JsonLines::open(&missing).unwrap_err(),
        JsonLines::read(&missing).unwrap_err(),
        JsonLines::open(folder.path()).unwrap_err(),
    ] {
        assert!(matches!(error, RecordingError::Io { .. }), "{error}");
    }
    #[cfg(unix)]
    assert!(JsonLines::open("/dev/null").is_err());
}
