//! Where a seccomp profile refuses io_uring, as container runtimes do, the broker serves over posix and says so once.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, folder, refused, ringlog};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets `command` run without io_uring.
fn without_uring(mut command: Command) -> Command {
    let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    let rules: BTreeMap<i64, Vec<_>> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().expect("an architecture that seccompiler knows");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32), arch)
        .expect("a good filter");
    let program: BpfProgram = filter.try_into().expect("a small filter");
    // SAFETY: between fork and exec this only makes system calls; the program was built before.
    unsafe { command.pre_exec(move || apply_filter(&program).map_err(std::io::Error::other)) };
    command
}

#[test]
fn auto_falls_back_with_one_warning() {
    let data = folder();
    let broker = Broker::spawn(without_uring(ringlog(data.path(), &["--io", "auto"])));
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 1), 0);
    assert_eq!(client.produce("t", 0, &["x"]), (0, 0));
    assert_eq!(client.fetch_all("t", 0), ["x"]);
    assert!(broker.started.iter().any(|line| line.contains("posix (io_uring is refused here")), "{:?}", broker.started);
    let warnings: Vec<String> = broker.log_so_far().into_iter().filter(|line| line.contains("WARN")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("io_uring"), "{warnings:?}");
    broker.stop();
}

#[test]
fn an_explicit_wish_is_refused() {
    for driver in ["uring", "tokio-uring", "glommio"] {
        let data = folder();
        let text = refused(without_uring(ringlog(data.path(), &["--io", driver])));
        for said in ["io_uring is refused here", "not permitted", "seccomp profile", "--io posix"] {
            assert!(text.contains(said), "{driver}: {said:?} is not in {text}");
        }
    }
}
