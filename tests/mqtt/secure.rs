//! TLS with client certificates that change while the program runs.

use crate::broker::{Broker, free_port};
use crate::common::Folder;
use crate::process::Running;
use std::process::{Command, Stdio};

fn openssl(folder: &Folder, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(folder.path()).args(arguments.split(' ')).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "openssl {arguments}");
}

/// A certificate authority.
fn authority(folder: &Folder, name: &str) {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
    openssl(
        folder,
        &format!("req -x509 {curve} -nodes -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}"),
    );
}

/// A certificate of an authority, with its key.
fn certificate(folder: &Folder, authority: &str, name: &str) {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
    openssl(folder, &format!("req {curve} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    folder.write("san", "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days 2 -extfile san -out {name}.pem"
        ),
    );
}

fn pipeline(port: u16, host: &str, options: &str) -> String {
    format!(
        "sources: {{ in: {{ mqtt: {{ url: 'mqtts://{host}:{port}', topics: [t], client_id: c, version: 3.1.1, \
         tls: {{ ca: ca.pem{options} }} }} }} }}\nsinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
    )
}

const OWN: &str = ", cert: client.pem, key: client.key";

#[test]
fn certificates_are_checked_and_taken_up_when_they_change() {
    let (port, plain) = (free_port(), free_port());
    let config = format!(
        "allow_anonymous true\nper_listener_settings false\nlistener {plain} 127.0.0.1\nlistener {port} 127.0.0.1\n\
         cafile FOLDER/ca.pem\ncertfile FOLDER/server.pem\nkeyfile FOLDER/server.key\nrequire_certificate true\n\
         use_identity_as_username true\nlog_type all\n"
    );
    let Some(mut broker) = Broker::prepare(plain, &config) else { return };
    authority(broker.folder(), "ca");
    authority(broker.folder(), "other");
    certificate(broker.folder(), "ca", "server");
    certificate(broker.folder(), "ca", "first");
    certificate(broker.folder(), "ca", "second");
    broker.run_and_wait();
    let folder = Folder::empty();
    let copy = |folder: &Folder, from: &str, to: &str| folder.write(to, broker.folder().read(from));
    copy(&folder, "ca.pem", "ca.pem");
    copy(&folder, "first.pem", "client.pem");
    copy(&folder, "first.key", "client.key");

    let running = Running::start_in(folder, &pipeline(port, "localhost", OWN), &[]);
    running.until_connected();
    broker.publish("t", r#"{"n":1}"#);
    running.until_lines(1);
    assert!(broker.folder().read("log").contains("u'first'"));

    // A key that does not belong to it changes nothing; both together do.
    let place = running.place();
    std::fs::write(place.join("client.pem"), broker.folder().read("second.pem")).unwrap();
    running.until_said("the changed certificates cannot be used, the old ones serve on");
    std::fs::write(place.join("client.key"), broker.folder().read("second.key")).unwrap();
    running.until_said("the certificates have changed").until_said("the session goes on");
    broker.publish("t", r#"{"n":2}"#);
    assert_eq!(running.until_lines(2), [r#"{"n":1}"#, r#"{"n":2}"#]);
    assert!(broker.folder().read("log").contains("u'second'"));
    running.stop();

    let unknown = Folder::empty();
    copy(&unknown, "other.pem", "ca.pem");
    let running = Running::start_in(unknown, &pipeline(port, "127.0.0.1", ""), &[]);
    running.until_said("TLS: invalid peer certificate: UnknownIssuer");
    let without = Folder::empty();
    copy(&without, "ca.pem", "ca.pem");
    let running = Running::start_in(without, &pipeline(port, "127.0.0.1", ""), &[]);
    running.until_said("no connection to mqtts://127.0.0.1");
}

#[test]
fn a_probe_finds_what_a_run_would() {
    let (port, plain) = (free_port(), free_port());
    let config = format!(
        "per_listener_settings true\nlistener {plain} 127.0.0.1\nallow_anonymous true\nlistener {port} 127.0.0.1\n\
         allow_anonymous false\ncafile FOLDER/ca.pem\ncertfile FOLDER/server.pem\nkeyfile FOLDER/server.key\nlog_type all\n"
    );
    let Some(mut broker) = Broker::prepare(plain, &config) else { return };
    authority(broker.folder(), "ca");
    authority(broker.folder(), "other");
    certificate(broker.folder(), "ca", "server");
    broker.run_and_wait();
    let folder = Folder::empty();
    ["ca.pem", "other.pem"].iter().for_each(|name| _ = folder.write(name, broker.folder().read(name)));
    let open = format!("url: 'mqtt://127.0.0.1:{plain}'");
    let secure = |ca: &str| {
        format!("url: 'mqtts://127.0.0.1:{port}', username: me, password: wrong-secret, tls: {{ ca: {ca} }}")
    };
    let nobody = "url: 'mqtt://127.0.0.1:1'".to_owned();
    for (broker, status, expected) in [
        (&open, Some(0), "connected to mqtt://127.0.0.1:"),
        (&secure("ca.pem"), Some(1), "are `username`, `password` and certificate right?"),
        (&secure("other.pem"), Some(1), "TLS: invalid peer certificate"),
        (&nobody, Some(1), "mqtt://127.0.0.1:1: nothing listens there"),
    ] {
        for version in ["5", "3.1.1"] {
            let options = format!("{broker}, version: {version}, client_id: mine");
            folder.write(
                "p.yaml",
                format!(
                    "sources: {{ in: {{ mqtt: {{ {options}, topics: [t] }} }} }}\n\
                     sinks: {{ out: {{ from: in, mqtt: {{ {options}, topic: u }} }} }}\n"
                ),
            );
            let ran = folder.run(&["check", "--connect", "p.yaml"]);
            assert_eq!(ran.status, status, "{options}: {}", ran.stderr);
            for node in ["source `in`", "sink `out`"] {
                let line = ran.stderr.lines().find(|line| line.contains(node)).unwrap_or_default();
                assert!(line.contains(expected), "{options}: {}", ran.stderr);
            }
            assert!(!ran.stderr.contains("wrong-secret"), "{}", ran.stderr);
        }
    }
    // Whoever has the name is not shut out by somebody who looks.
    let running = Running::start(&format!(
        "sources: {{ in: {{ mqtt: {{ {open}, topics: [t], client_id: mine }} }} }}\nsinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
    ));
    running.until_connected();
    folder.write(
        "p.yaml",
        format!(
            "sources: {{ in: {{ mqtt: {{ {open}, client_id: mine, topics: [t] }} }} }}\nsinks: {{ out: {{ from: in, drop: {{}} }} }}\n"
        ),
    );
    folder.run(&["check", "--connect", "p.yaml"]).succeeded();
    broker.publish("t", r#"{"n":1}"#);
    assert_eq!(running.until_lines(1), [r#"{"n":1}"#]);
    assert!(!running.read("stderr").contains("no connection"), "{}", running.read("stderr"));
    running.stop();
}
