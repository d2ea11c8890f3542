//! What a start says, and every reason not to start: each names what is wrong, where, and what to do.

mod common;

use common::{Broker, folder, refused, ringlog};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

#[test]
fn the_start_lines_say_what_an_operator_asks() {
    let data = folder();
    let broker = Broker::start(data.path(), &["--io", "posix", "--shards", "1"]);
    let text = broker.started.join("\n");
    for said in [
        &broker.address.to_string(),
        &data.path().canonicalize().expect("it exists").display().to_string(),
        "posix (asked for with --io)",
        "1 shard",
        "fsync",
    ] {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    assert!(broker.started.last().is_some_and(|line| line.starts_with("ready: ")));
}

#[test]
fn the_start_lines_say_what_each_driver_is() {
    for (driver, said) in [
        ("posix", "epoll, 1 helper thread for the disk"),
        ("uring", "entries, "),
        ("tokio-uring", "tokio-uring 0.5, "),
        ("glommio", "glommio 0.9, 3 rings of "),
    ] {
        let data = folder();
        let broker = Broker::start(data.path(), &["--io", driver]);
        let asked = format!("{driver} (asked for with --io); ");
        let line = broker.started.iter().find(|line| line.contains(&asked));
        assert!(line.is_some_and(|line| line.contains(said)), "{said:?} is not in {:#?}", broker.started);
    }
}

#[test]
fn a_second_start_on_the_folder_is_refused() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let text = refused(ringlog(data.path(), &[]));
    let holder = format!("is in use by process {}", broker.pid());
    assert!(text.contains(&holder) && text.contains(".lock"), "{text}");
}

#[test]
fn a_second_start_on_the_port_is_refused() {
    let (data, other) = (folder(), folder());
    let broker = Broker::start(data.path(), &[]);
    let address = broker.address.to_string();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ringlog"));
    command.args(["--listen", &address, "--data-dir"]).arg(other.path());
    let text = refused(command);
    assert!(text.contains(&format!("cannot listen on {address}")) && text.contains("--listen"), "{text}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let parent = folder();
    let data = parent.path().join("read-only");
    fs::create_dir(&data).expect("new");
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).expect("ours");
    let mut command = ringlog(&data, &[]);
    if fs::write(data.join("probe"), "").is_ok() {
        // Root may write anywhere; let the broker be nobody.
        command.uid(65534).gid(65534);
    }
    let text = refused(command);
    assert!(text.contains("read-only") && text.contains("Permission denied") && text.contains("--data-dir"), "{text}");
}

#[test]
fn bad_arguments_are_refused_before_anything_is_touched() {
    for (args, said) in [
        (&["--shards", "0"][..], "--shards"),
        (&["--io", "kqueue"][..], "auto, uring, posix, tokio-uring, glommio"),
        (&["--listen", "nonsense"][..], "HOST:PORT"),
        (&["--override", "no-equals-sign"][..], "KEY=VALUE"),
    ] {
        let parent = folder();
        let data = parent.path().join("data");
        let text = refused(ringlog(&data, args));
        assert!(text.contains(said), "{args:?}: {text}");
        assert!(!data.exists(), "{args:?} made the folder");
    }
}

#[test]
fn a_bad_property_stops_the_start_before_anything_is_touched() {
    let parent = folder();
    let (file, data) = (parent.path().join("server.properties"), parent.path().join("data"));
    fs::write(&file, "num.partitions=3\nlog.segment.bytes=many\n").expect("writable");
    let path = file.to_str().expect("a plain path");
    let text = refused(ringlog(&data, &[path]));
    for said in ["server.properties:2", "log.segment.bytes=many"] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    assert!(!data.exists());
    fs::write(&file, "num.partitions=3\nlisteners=PLAINTEXT://127.0.0.1:1\nzookeeper.connect=x:2181\n")
        .expect("writable");
    let broker = Broker::start(&data, &[path]);
    assert_eq!(broker.client().metadata("made"), (0, vec![0, 1, 2]));
    assert!(broker.logged("zookeeper.connect").contains("server.properties:3"));
    broker.stop();
}
