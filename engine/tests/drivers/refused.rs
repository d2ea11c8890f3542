//! A kernel that refuses io_uring is told apart from one that has none, so that `--io auto` can say why.

use engine::io::uring::{UringDriver, UringRefused};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// io_uring_setup on every 64-bit architecture that Linux got it on at once.
const IO_URING_SETUP: i64 = 425;

fn under_filter(errno: u32) -> UringRefused {
    let arch: TargetArch = std::env::consts::ARCH.try_into().expect("an architecture that seccomp knows");
    let rules = [(IO_URING_SETUP, Vec::new())].into();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), arch);
    let program: BpfProgram = filter.expect("a valid filter").try_into().expect("it compiles");
    // The filter binds the thread that installs it and nobody else.
    let refused = move || {
        seccompiler::apply_filter(&program).expect("the kernel takes filters");
        UringDriver::new().err()
    };
    std::thread::spawn(refused).join().expect("it only asks").expect("the filter refuses the ring")
}

#[test]
fn a_seccomp_profile_is_named() {
    let refused = under_filter(1);
    assert!(matches!(refused, UringRefused::Blocked | UringRefused::Disabled(_)), "{refused:?}");
}

#[test]
fn a_kernel_without_it_is_named() {
    let refused = under_filter(38);
    assert!(matches!(refused, UringRefused::Absent), "{refused:?}");
    assert_eq!(refused.to_string(), "this kernel has no io_uring");
}
