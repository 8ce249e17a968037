//! `bugle certs dev`: an authority and certificates to try TLS with.
//!
//! What is there already stays, and what is missing is made beside it, of the same authority.

mod kept;

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
    ///
    /// What is there already stays: the same authority makes what is missing, such as the certificate of a
    /// further client. Each authority has a name of its own.
    #[command(after_help = "Examples:\n  bugle certs dev\n  \
                            bugle certs dev --dir certs --host bus.example --client billing --client spiffe://dev/shop\n  \
                            bugle certs dev --client stock    # later: one more, of the same authority")]
    Dev {
        /// Where to put the files, and where those are that stay
        #[arg(long, value_name = "DIR", default_value = "certs")]
        dir: PathBuf,
        /// A name of the server beside localhost, 127.0.0.1 and ::1; may be repeated
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
        /// A client's certificate, whose principal is cert:NAME; may be repeated
        #[arg(long = "client", value_name = "NAME")]
        clients: Vec<String>,
        /// Make everything new, the authority too; certificates of the old one are worth nothing then
        #[arg(long)]
        force: bool,
    },
}

/// Days that certificates are valid, and their authority.
const DAYS: [i64; 2] = [365, 3650];

/// The files of the authority and of the server, without their endings.
const AUTHORITY: &str = "ca";
const SERVER: &str = "server";

/// A certificate that is asked for.
struct Wanted {
    /// Its file, without the ending.
    file: String,
    params: CertificateParams,
    purpose: ExtendedKeyUsagePurpose,
}

pub(super) fn run(args: CertsArgs) -> Result<()> {
    let Command::Dev { dir, hosts, clients, force } = args.command;
    let wanted = wanted(hosts, &clients)?;
    let has_authority = !force && kept::is_there(&dir, AUTHORITY)?;
    // Everything is looked at before anything is made, so that a refusal leaves all as it was.
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for one in wanted {
        if !force && kept::is_there(&dir, &one.file)? {
            let (certificate, _) = kept::paths(&dir, &one.file);
            if !has_authority {
                return Err(kept::taken(&certificate, "and its authority is not"));
            }
            kept::check(&certificate, &one.params.subject_alt_names, &kept::paths(&dir, AUTHORITY).0)?;
            old.push(one.file);
        } else {
            new.push(one);
        }
    }
    std::fs::create_dir_all(&dir).map_err(|error| failed(&dir, &error))?;
    let authority = if has_authority { read_authority(&dir)? } else { make_authority(&dir, force)? };
    let mut made = Vec::new();
    for Wanted { file, params, purpose } in new {
        certify(&dir, &file, params, purpose, &authority, force)?;
        made.push(file);
    }
    let beside = if has_authority { &mut old } else { &mut made };
    beside.insert(0, AUTHORITY.to_owned());
    let told = told(&dir, "there already, and left alone", &old) + &told(&dir, "made", &made);
    output::print(&(told + &lesson(&dir, clients.first().map(String::as_str))))
}

/// What is asked for: a server's certificate, and those of the clients. Errors: names that no certificate
/// can have, or two for one file.
fn wanted(hosts: Vec<String>, clients: &[String]) -> Result<Vec<Wanted>> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(hosts);
    let params = CertificateParams::new(names).map_err(|error| wrong("--host", &error))?;
    let purpose = ExtendedKeyUsagePurpose::ServerAuth;
    let mut wanted = vec![Wanted { file: SERVER.to_owned(), params, purpose }];
    for client in clients {
        let mut params = CertificateParams::default();
        let name = client.as_str().try_into().map_err(|error| wrong("--client", &error))?;
        params.subject_alt_names =
            vec![if client.contains("://") { SanType::URI(name) } else { SanType::DnsName(name) }];
        let file = format!("client-{}", file_name(client));
        match wanted.iter().find(|other| other.file == file) {
            Some(other) if other.params.subject_alt_names == params.subject_alt_names => continue,
            Some(_) => return Err(wrong("--client", &format!("{file}.pem would be for two of these names"))),
            None => {}
        }
        wanted.push(Wanted { file, params, purpose: ExtendedKeyUsagePurpose::ClientAuth });
    }
    Ok(wanted)
}

/// The authority that is there.
fn read_authority(dir: &Path) -> Result<Issuer<'static, KeyPair>> {
    let (certificate, key) = kept::paths(dir, AUTHORITY);
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| failed(path, &error));
    let pair = KeyPair::from_pem(&read(&key)?).map_err(|error| failed(&key, &error))?;
    Issuer::from_ca_cert_pem(&read(&certificate)?, pair).map_err(|error| failed(&certificate, &error))
}

/// A new authority, of a name that no other has: a trust store tells its certificates apart by that.
fn make_authority(dir: &Path, force: bool) -> Result<Issuer<'static, KeyPair>> {
    let (certificate, key) = kept::paths(dir, AUTHORITY);
    let mut params = CertificateParams::default();
    let name = format!("Bugle development authority {:06x}", rand::random::<u32>() >> 8);
    params.distinguished_name.push(DnType::CommonName, name);
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
    let (certificate, key) = kept::paths(dir, file);
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
        return Err(kept::taken(path, "and was not a moment ago"));
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

/// What became of these, in a line; nothing where there are none.
fn told(dir: &Path, what: &str, files: &[String]) -> String {
    let paths: Vec<_> = files.iter().map(|file| kept::paths(dir, file).0.display().to_string()).collect();
    if paths.is_empty() { String::new() } else { format!("{what}: {}\n", paths.join(", ")) }
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
