//! `ringlog dump-log` shows what is in a partition's files and where the first bad byte is.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, folder};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn dump(file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringlog")).arg("dump-log").arg(file).output().expect("the binary starts")
}

#[test]
fn records_and_the_first_bad_byte() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 1), 0);
    assert_eq!(client.produce("t", 0, &["first value"]), (0, 0));
    assert_eq!(client.produce("t", 0, &["second value"]), (0, 1));
    broker.stop();
    let segment = data.path().join("t-0/00000000000000000000.log");
    let good = dump(&segment);
    let text = String::from_utf8_lossy(&good.stdout);
    assert!(good.status.success() && text.contains("first value") && text.contains("second value"), "{text}");

    let mut bytes = fs::read(&segment).expect("it is there");
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&segment, bytes).expect("ours");
    let bad = dump(&segment);
    let (text, said) = (String::from_utf8_lossy(&bad.stdout), String::from_utf8_lossy(&bad.stderr));
    assert!(!bad.status.success() && text.contains("first value"), "{text}");
    assert!(said.contains("first bad byte at"), "{said}");
}
