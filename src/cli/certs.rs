//! `bugle certs dev`: an authority and certificates to try TLS with.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::ToSpan;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::output;
use crate::error::{Code, Error, Result};

/// The arguments of `bugle certs`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CertsArgs {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
For trying things out: whoever has ca.key can be any server and any client. In production certificates
come from an authority that you run, such as cert-manager or step-ca.

Example:
  bugle certs dev --dir certs --client billing";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an authority, a certificate for a server here, and some for clients
    #[command(after_help = "Examples:\n  bugle certs dev\n  \
                            bugle certs dev --dir certs --host bus.example --client billing --client spiffe://dev/shop")]
    Dev {
        /// Where to put the files; an authority that is there already is used
        #[arg(long, value_name = "DIR", default_value = "certs")]
        dir: PathBuf,
        /// A name of the server beside localhost, 127.0.0.1 and ::1; may be repeated
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
        /// A client's certificate, whose principal is cert:NAME; may be repeated
        #[arg(long = "client", value_name = "NAME")]
        clients: Vec<String>,
        /// Make everything new, the authority too
        #[arg(long)]
        force: bool,
    },
}

/// Days that certificates are valid, and their authority.
const DAYS: [i64; 2] = [365, 3650];

pub(super) fn run(args: CertsArgs) -> Result<()> {
    let Command::Dev { dir, hosts, clients, force } = args.command;
    std::fs::create_dir_all(&dir).map_err(|error| failed(&dir, &error))?;
    let authority = authority(&dir, force)?;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(hosts);
    let params = CertificateParams::new(names).map_err(|error| wrong("--host", &error))?;
    certify(&dir, "server", params, ExtendedKeyUsagePurpose::ServerAuth, &authority, force)?;
    for client in &clients {
        let mut params = CertificateParams::default();
        let name = client.as_str().try_into().map_err(|error| wrong("--client", &error))?;
        params.subject_alt_names =
            vec![if client.contains("://") { SanType::URI(name) } else { SanType::DnsName(name) }];
        let file = format!("client-{}", file_name(client));
        certify(&dir, &file, params, ExtendedKeyUsagePurpose::ClientAuth, &authority, force)?;
    }
    output::print(&lesson(&dir, clients.first().map(String::as_str)))
}

/// The authority that is there, or a new one.
fn authority(dir: &Path, force: bool) -> Result<Issuer<'static, KeyPair>> {
    let (certificate, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    if !force && certificate.exists() && key.exists() {
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| failed(path, &error));
        let pair = KeyPair::from_pem(&read(&key)?).map_err(|error| failed(&key, &error))?;
        return Issuer::from_ca_cert_pem(&read(&certificate)?, pair)
            .map_err(|error| failed(&certificate, &error));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Bugle development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, DAYS[1])?;
    let pair = KeyPair::generate().map_err(|error| failed(&key, &error))?;
    let made = params.self_signed(&pair).map_err(|error| failed(&certificate, &error))?;
    write(&key, &pair.serialize_pem(), 0o600, force)?;
    write(&certificate, &made.pem(), 0o644, force)?;
    Ok(Issuer::new(params, pair))
}

/// Makes a certificate for this purpose, and its key.
fn certify(
    dir: &Path,
    file: &str,
    mut params: CertificateParams,
    purpose: ExtendedKeyUsagePurpose,
    authority: &Issuer<'_, KeyPair>,
    force: bool,
) -> Result<()> {
    params.distinguished_name.push(DnType::CommonName, file);
    params.extended_key_usages = vec![purpose];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, DAYS[0])?;
    let (certificate, key) = (dir.join(format!("{file}.pem")), dir.join(format!("{file}.key")));
    let pair = KeyPair::generate().map_err(|error| failed(&key, &error))?;
    let made = params.signed_by(&pair, authority).map_err(|error| failed(&certificate, &error))?;
    write(&key, &pair.serialize_pem(), 0o600, force)?;
    write(&certificate, &made.pem(), 0o644, force)
}

/// From yesterday, for clocks differ, for so many days.
fn valid_for(params: &mut CertificateParams, days: i64) -> Result<()> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |offset: i64| {
        let date =
            today.checked_add(offset.days()).map_err(|error| failed(Path::new("the calendar"), &error))?;
        Ok::<_, Error>(rcgen::date_time_ymd(i32::from(date.year()), date.month() as u8, date.day() as u8))
    };
    (params.not_before, params.not_after) = (day(-1)?, day(days)?);
    Ok(())
}

fn write(path: &Path, text: &str, mode: u32, force: bool) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).mode(mode);
    // A file that is there may have another mode, and its old one would stay.
    if force && path.exists() {
        std::fs::remove_file(path).map_err(|error| failed(path, &error))?;
    }
    let file = options.create_new(true).open(path);
    if file.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AlreadyExists) {
        let message = format!("{} is there already; choose another --dir, or --force", path.display());
        return Err(Error::new(Code::AlreadyExists, message));
    }
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(Code::FailedPrecondition, format!("{} cannot be made or used: {error}", path.display()))
}

fn wrong(option: &str, error: &dyn std::fmt::Display) -> Error {
    Error::field(option, format!("cannot be in a certificate: {error}"))
}

/// A name as a part of one of a file.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).collect()
}

/// How to use them.
fn lesson(dir: &Path, client: Option<&str>) -> String {
    let dir = dir.display();
    let serve = format!("bugle serve --set tls.cert={dir}/server.pem --set tls.key={dir}/server.key");
    let publish = format!("bugle publish orders hello --server https://localhost:7600 --tls-ca {dir}/ca.pem");
    let mut text = format!("try it:\n  {serve}\n  {publish}\n");
    if let Some(client) = client {
        let file = file_name(client);
        text.push_str(&format!(
            "with the certificate of a client, who is cert:{client}:\n  {serve} --set tls.client_ca={dir}/ca.pem --set \
             tls.client_auth=required\n  {publish} --tls-cert {dir}/client-{file}.pem --tls-key {dir}/client-{file}.key\n"
        ));
    }
    text
}
