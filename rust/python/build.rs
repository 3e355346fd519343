//! Leaves the commit and the profile in the binary, so that a wheel can say what it is.

use std::path::Path;
use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

fn main() {
    // HEAD changes with a checkout, its log with every commit. Both may lie outside the tree (a worktree).
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=XTRADER_COMMIT={commit}");
    println!("cargo::rustc-env=XTRADER_PROFILE={}", profile().unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo::rustc-env=XTRADER_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}

/// `PROFILE` only ever says `debug` or `release`; the folder above `build/` has the profile's own name.
fn profile() -> Option<String> {
    let out = std::env::var("OUT_DIR").ok()?;
    let build = Path::new(&out).ancestors().find(|folder| folder.ends_with("build"))?;
    Some(build.parent()?.file_name()?.to_str()?.to_owned())
}
