//! TLS: certificates of the server, of clients, and new ones while it runs.

use crate::Listener;
use crate::common::Folder;
use headwater::clients::http::{HttpClient, HttpOptions, HttpServer};
use headwater::clients::tls::TlsFiles;
use hyper::Request;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn openssl(folder: &Folder, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(folder.path()).args(arguments.split(' ')).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "openssl {arguments}");
}

const CURVE: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// A certificate authority, and certificates of it with their keys.
fn certificates(folder: &Folder, authority: &str, names: &[&str]) {
    openssl(
        folder,
        &format!(
            "req -x509 {CURVE} -keyout {authority}.key -out {authority}.pem -days 2 -subj /CN={authority}"
        ),
    );
    folder.write("san", "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    for name in names {
        openssl(folder, &format!("req {CURVE} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        let by = format!("-CA {authority}.pem -CAkey {authority}.key -CAcreateserial");
        openssl(folder, &format!("x509 -req -in {name}.csr {by} -days 2 -extfile san -out {name}.pem"));
    }
}

/// Sends an event; the status, or why there is none.
fn post(port: u16, place: &Path, ca: &str, own: Option<&str>) -> Result<u16, String> {
    let own = own.map(|own| (place.join(format!("{own}.pem")), place.join(format!("{own}.key"))));
    let tls = TlsFiles { ca: Some(place.join(ca)), own };
    let server = HttpServer { secure: true, host: "127.0.0.1".to_owned(), port };
    let options = HttpOptions { timeout: Duration::from_secs(20), tries: 1, answer_limit: 1000 };
    let mut client = HttpClient::new(server, options, &tls)?;
    let request = || Request::post("/in").header("host", "here").body("{\"n\":1}".into()).unwrap();
    client.send(&mut { request }).map(|answer| answer.status.as_u16())
}

#[test]
fn clients_are_known_by_their_certificates_and_new_ones_are_taken_up() {
    let folder = Folder::empty();
    certificates(&folder, "ca", &["server", "client"]);
    certificates(&folder, "other", &["stranger", "second"]);
    let tls = ", tls: { cert: server.pem, key: server.key, ca: ca.pem }";
    let listener = Listener::start_in(folder, tls, "", &[]);
    let (port, place) = (listener.port, listener.running.place());
    listener.running.until_said("listens on https://127.0.0.1:");
    assert_eq!(post(port, &place, "ca.pem", Some("client")), Ok(202));
    assert!(post(port, &place, "ca.pem", None).is_err(), "without a certificate");
    assert!(post(port, &place, "ca.pem", Some("stranger")).is_err(), "with another's");
    assert!(post(port, &place, "other.pem", Some("client")).is_err(), "the server is another's");
    let copy = |from: &str, to: &str| std::fs::copy(place.join(from), place.join(to)).unwrap();
    copy("second.pem", "server.pem");
    listener.running.until_said("the changed certificates cannot be used, the old ones serve on");
    assert_eq!(post(port, &place, "ca.pem", Some("client")), Ok(202));
    copy("second.key", "server.key");
    listener.running.until_said("the certificates have changed");
    assert_eq!(post(port, &place, "other.pem", Some("client")), Ok(202));
    listener.running.until_lines(3);
    listener.running.stop();
}

#[test]
fn a_certificate_that_is_not_there_is_told_also_by_check() {
    let folder = Folder::empty();
    let tls = ", tls: { cert: server.pem, key: server.key }";
    folder.write("p.yaml", crate::pipeline(crate::servers::free_port(), tls, "    startup: fail"));
    for arguments in [&["check", "--connect", "p.yaml"], &["run", "p.yaml", "-q"]] {
        let ran = folder.run(arguments);
        assert_eq!(ran.status, Some(1), "{}", ran.stderr);
        assert!((ran.stdout + &ran.stderr).contains("server.pem` cannot be read: No such file"));
    }
}
