//! `bugle certs dev`, and the commands that it prints.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::Process;

fn certs(folder: &TempDir, more: &[&str]) -> Output {
    let mut command = Command::new(Process::PATH);
    command
        .args(["certs", "dev", "--client", "billing"])
        .args(more)
        .current_dir(folder.path())
        .output()
        .unwrap()
}

#[test]
fn the_certificates_work_as_the_command_says() {
    let folder = TempDir::new().unwrap();
    let output = certs(&folder, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = |end: &str| -> Vec<String> {
        let line = text
            .lines()
            .find(|line| line.trim_end().ends_with(end))
            .unwrap_or_else(|| panic!("{end} in {text}"));
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    for (serve, publish) in [
        ("--set tls.key=certs/server.key", "--tls-ca certs/ca.pem"),
        ("--set tls.client_auth=required", "--tls-key certs/client-billing.key"),
    ] {
        let mut command = Command::new(Process::PATH);
        command.args(printed(serve)).args(["--listen", "127.0.0.1:0", "--metrics", "off"]);
        let mut server = Process::start(command.current_dir(folder.path()));
        let port = server.address().port();
        let mut publishing = Command::new(Process::PATH);
        let arguments = printed(publish).into_iter().map(|it| it.replace(":7600", &format!(":{port}")));
        let output = publishing.args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn keys_are_for_their_owner_alone_and_nothing_is_written_over() {
    let folder = TempDir::new().unwrap();
    assert!(certs(&folder, &[]).status.success());
    let path = |name: &str| folder.path().join("certs").join(name);
    for name in ["ca.key", "server.key", "client-billing.key"] {
        assert_eq!(std::fs::metadata(path(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let authority = std::fs::read(path("ca.pem")).unwrap();
    let again = certs(&folder, &[]);
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && told.contains("--force") && told.contains("server.key"), "{told}");
    assert_eq!(std::fs::read(path("ca.pem")).unwrap(), authority);
    assert!(certs(&folder, &["--force"]).status.success());
    assert_ne!(std::fs::read(path("ca.pem")).unwrap(), authority);
    let wrong = certs(&folder, &["--force", "--client", "ä b"]);
    assert!(!wrong.status.success(), "a name that no certificate can have");
}
