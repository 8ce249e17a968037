//! `bugle certs dev`, and the commands that it prints.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use x509_parser::pem::parse_x509_pem;

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

/// What it prints, after it has succeeded.
fn made(folder: &TempDir, more: &[&str]) -> String {
    let output = certs(folder, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with the first certificates in it.
fn first() -> TempDir {
    let folder = TempDir::new().unwrap();
    made(&folder, &[]);
    folder
}

fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join("certs").join(name)
}

/// Every file, by its name.
fn files(folder: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let found = fs::read_dir(path(folder, "")).unwrap().map(|entry| entry.unwrap());
    found.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// The words of the printed command that ends so.
fn printed(text: &str, end: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.trim_end().ends_with(end));
    let line = line.unwrap_or_else(|| panic!("{end} in {text}"));
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

/// Publishes as the second command says to a server as the first one says.
fn work(folder: &TempDir, serve: Vec<String>, publish: Vec<String>) {
    let mut command = Command::new(Process::PATH);
    command.args(serve).args(["--listen", "127.0.0.1:0", "--metrics", "off"]);
    let mut server = Process::start(command.current_dir(folder.path()));
    let port = server.address().port();
    let mut publishing = Command::new(Process::PATH);
    let arguments = publish.into_iter().map(|it| it.replace(":7600", &format!(":{port}")));
    let output = publishing.args(arguments).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The names of a certificate's subject and of who issued it.
fn names(folder: &TempDir, name: &str) -> (String, String) {
    let bytes = fs::read(path(folder, name)).unwrap();
    let (_, pem) = parse_x509_pem(&bytes).unwrap();
    let certificate = pem.parse_x509().unwrap();
    (certificate.subject().to_string(), certificate.issuer().to_string())
}

#[test]
fn the_certificates_work_as_the_command_says() {
    let folder = TempDir::new().unwrap();
    let text = made(&folder, &[]);
    assert!(text.starts_with("made: certs/ca.pem, certs/server.pem, certs/client-billing.pem\n"), "{text}");
    for (serve, publish) in [
        ("--set tls.key=certs/server.key", "--tls-ca certs/ca.pem"),
        ("--set tls.client_auth=required", "--tls-key certs/client-billing.key"),
    ] {
        work(&folder, printed(&text, serve), printed(&text, publish));
    }
}

#[test]
fn keys_are_for_their_owner_alone_and_nothing_is_written_over_without_force() {
    let folder = first();
    for name in ["ca.key", "server.key", "client-billing.key"] {
        let mode = fs::metadata(path(&folder, name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let before = files(&folder);
    let text = made(&folder, &[]);
    let stays =
        "there already, and left alone: certs/ca.pem, certs/server.pem, certs/client-billing.pem\ntry it:";
    assert!(text.starts_with(stays), "{text}");
    assert_eq!(files(&folder), before);
    let text = made(&folder, &["--force"]);
    assert!(text.starts_with("made: certs/ca.pem,") && !text.contains("left alone"), "{text}");
    let after = files(&folder);
    assert!(before.iter().all(|(name, bytes)| after[name] != *bytes), "everything is new");
}

#[test]
fn a_further_client_has_its_certificate_of_the_same_authority() {
    let folder = first();
    let before = files(&folder);
    let text = made(&folder, &["--client", "stock", "--client", "stock"]);
    assert!(
        text.contains("left alone: certs/ca.pem, certs/server.pem, certs/client-billing.pem\n"),
        "{text}"
    );
    assert!(text.contains("\nmade: certs/client-stock.pem\n"), "{text}");
    let mut after = files(&folder);
    assert!(after.remove("client-stock.pem").is_some() && after.remove("client-stock.key").is_some());
    assert_eq!(after, before);
    let publish = printed(&text, "--tls-key certs/client-billing.key").into_iter();
    let publish = publish.map(|word| word.replace("client-billing", "client-stock")).collect();
    work(&folder, printed(&text, "--set tls.client_auth=required"), publish);
}

#[test]
fn each_authority_has_a_name_of_its_own() {
    let (one, other) = (first(), first());
    let (name, _) = names(&one, "ca.pem");
    let random = name.strip_prefix("CN=Bugle development authority ").unwrap_or_else(|| panic!("{name}"));
    assert!(random.len() == 6 && random.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
    assert_ne!(names(&other, "ca.pem").0, name);
    made(&one, &["--client", "stock"]);
    for certificate in ["ca.pem", "server.pem", "client-billing.pem", "client-stock.pem"] {
        assert_eq!(names(&one, certificate).1, name, "{certificate}");
    }
}

/// A certificate for a server here, of this folder's authority, which was valid once.
fn expired(folder: &TempDir) -> Vec<u8> {
    let text = |name| fs::read_to_string(path(folder, name)).unwrap();
    let issuer =
        Issuer::from_ca_cert_pem(&text("ca.pem"), KeyPair::from_pem(&text("ca.key")).unwrap()).unwrap();
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_after = date_time_ymd(2024, 1, 1);
    let pair = KeyPair::from_pem(&text("server.key")).unwrap();
    params.signed_by(&pair, &issuer).unwrap().pem().into_bytes()
}

#[test]
fn what_cannot_stay_is_told_and_nothing_is_made() {
    type Change = fn(&TempDir);
    let cases: [(Change, &[&str], &str); 9] = [
        (|_| {}, &["--host", "bus.example"], "certs/server.pem is there already, and not for bus.example"),
        (
            |_| {},
            &["--client", "Billing", "--host", "192.0.2.1"],
            "server.pem is there already, and not for 192.0.2.1",
        ),
        (
            |folder| fs::remove_file(path(folder, "ca.key")).unwrap(),
            &[],
            "ca.pem is there already, and certs/ca.key is not",
        ),
        (|folder| fs::remove_file(path(folder, "server.pem")).unwrap(), &[], "certs/server.pem is not"),
        (
            |folder| {
                ["ca.pem", "ca.key"].iter().for_each(|name| fs::remove_file(path(folder, name)).unwrap())
            },
            &["--client", "stock"],
            "certs/server.pem is there already, and its authority is not",
        ),
        (
            |folder| {
                files(&first())
                    .iter()
                    .filter(|(name, _)| name.starts_with("ca."))
                    .for_each(|(name, bytes)| fs::write(path(folder, name), bytes).unwrap())
            },
            &["--client", "stock"],
            "of another authority",
        ),
        (
            |folder| fs::write(path(folder, "server.pem"), expired(folder)).unwrap(),
            &[],
            "valid only until Jan  1",
        ),
        (
            |folder| drop(made(folder, &["--client", "a/b"])),
            &["--client", "a_b"],
            "client-a_b.pem is there already, and not for a_b",
        ),
        (|_| {}, &["--client", "a/b", "--client", "a_b"], "client-a_b.pem would be for two of these names"),
    ];
    for (change, more, expected) in cases {
        let folder = first();
        change(&folder);
        let before = files(&folder);
        let output = certs(&folder, more);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(expected), "{expected}: {told}");
        assert_eq!(files(&folder), before, "{expected}");
    }
}

#[test]
fn a_name_that_no_certificate_can_have_is_refused_before_anything_is_made() {
    let folder = first();
    let before = files(&folder);
    let wrong = certs(&folder, &["--force", "--client", "ä b"]);
    assert!(!wrong.status.success(), "{}", String::from_utf8_lossy(&wrong.stdout));
    assert_eq!(files(&folder), before);
}
