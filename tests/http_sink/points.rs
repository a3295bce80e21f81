//! The `influx` sink.

use crate::common::Folder;
use crate::dead_letters;
use crate::server::{Answer, Seen, Server, TAKEN};
use std::io::Read;

/// The lines of a request.
fn lines(seen: &Seen) -> String {
    assert_eq!(seen.headers["content-encoding"], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*seen.body).read_to_string(&mut text).unwrap();
    text
}

fn pipeline(url: &str, options: &str) -> String {
    format!(
        "pipeline: p\nsources:\n  in:\n    file: {{ path: in.ndjson }}\n    event_time: {{ field: ts, unit: ms }}\nsinks:\n  out:\n    \
         from: in\n    influx:\n      url: {url}\n      {options}\n    retry: {{ first: 10ms }}\n"
    )
}

/// What comes of lines: the lines that were written, and the folder.
fn written(server: &Server, path: &str, options: &str, input: &str) -> (String, Folder) {
    let folder = Folder::empty();
    folder.write("in.ndjson", input);
    folder.write("p.yaml", pipeline(&format!("{}{path}", server.url()), options));
    folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
    (server.taken().iter().map(lines).collect(), folder)
}

const INPUT: &str = "\
{\"ts\":1500,\"line\":\"a b\",\"m\":\"x,y=\",\"temp\":21.5,\"n\":3,\"ok\":true,\"text\":\"say \\\"hi\\\" \\\\ ä\",\"none\":null}
{\"ts\":2500,\"line\":\"c\",\"m\":null,\"temp\":4.0}
";

#[test]
fn events_are_points_with_types_and_escapes() {
    let server = Server::start(|_, _| Answer::Of(204, "", ""));
    let options = "org: my plant\n      bucket: b/rp\n      token: secret-token\n      measurement: \"{line}\"\n      tags: [m]";
    let (text, folder) = written(&server, "", options, INPUT);
    let golden = "a\\ b,m=x\\,y\\= ts=1500i,temp=21.5,n=3i,ok=true,text=\"say \\\"hi\\\" \\\\ ä\" 1500\nc ts=2500i,temp=4.0 2500\n";
    assert_eq!(text, golden);
    let seen = &server.seen()[0];
    assert_eq!(seen.path, "/api/v2/write?bucket=b/rp&org=my%20plant&precision=ms");
    assert_eq!(seen.headers["authorization"], "Token secret-token");
    assert!(!folder.read("stderr").contains("secret"));
    // Our own decoder reads what was meant.
    folder.write("points.txt", &text);
    folder.write(
        "read.yaml",
        "sources: { in: { file: { path: points.txt }, format: { influx: { precision: ms } } } }\nsinks: { out: { from: in, stdout: {} } }\n",
    );
    let read = folder.run(&["run", "-q", "read.yaml"]).succeeded().stdout;
    let first: serde_json::Value = serde_json::from_str(read.lines().next().unwrap()).unwrap();
    assert_eq!(first["measurement"], "a b");
    assert_eq!((&first["m"], &first["text"]), (&"x,y=".into(), &"say \"hi\" \\ ä".into()));
    assert_eq!((&first["n"], &first["temp"], &first["time"]), (&3.into(), &21.5.into(), &1500.into()));
}

#[test]
fn fields_tags_and_time_may_be_computed() {
    let server = Server::start(|_, _| TAKEN);
    let options = "measurement: weather\n      tags: { site: upper(line), part: ok }\n      fields: { t: temp * 2, n: n }\n      time: ts + 1";
    let (text, folder) =
        written(&server, "/write?db=x", options, &(INPUT.to_owned() + "{\"ts\":1,\"line\":\"e\"}\n"));
    assert_eq!(text, "weather,part=true,site=A\\ B t=43.0,n=3i 1501\nweather,site=C t=8.0 2501\n");
    assert_eq!(server.seen()[0].path, "/write?db=x&precision=ms");
    let dead = dead_letters(&folder);
    assert!(dead.contains("line protocol needs a field"), "{dead}");
}

#[test]
fn points_that_are_refused_take_no_others_with_them() {
    let partial = "{\"code\":\"invalid\",\"message\":\"partial write: field type conflict\"}";
    let server = Server::start(move |seen, _| match lines(seen).contains("temp=true") {
        true => Answer::Of(400, "", partial),
        false => Answer::Of(204, "", ""),
    });
    let input: String = (0..9)
        .map(|n| {
            format!("{{\"ts\":{n},\"temp\":{}}}\n", if n == 4 { "true".to_owned() } else { format!("{n}.5") })
        })
        .collect();
    let (text, folder) =
        written(&server, "", "bucket: b\n      measurement: m\n      fields: [temp]", &input);
    let expected: String = (0..9).filter(|n| *n != 4).map(|n| format!("m temp={n}.5 {n}\n")).collect();
    assert_eq!(text, expected);
    let dead = dead_letters(&folder);
    assert!(dead.contains("m temp=true 4") && dead.contains("field type conflict"), "{dead}");
}

#[test]
fn looking_at_a_server_says_whether_we_may_write() {
    let said = |status: u16, body: &'static str| {
        let server = Server::start(move |_, _| Answer::Of(status, "", body));
        let folder = Folder::empty();
        let options = "bucket: b\n      org: o\n      token: \"${TOKEN:-very-secret}\"\n      measurement: m";
        folder.write("p.yaml", pipeline(&server.url(), options));
        let ran = folder.run(&["check", "--connect", "p.yaml"]);
        assert_eq!(server.seen()[0].body.len(), 0, "nothing is written");
        assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
        (ran.status, ran.stderr)
    };
    let (status, text) = said(400, "{\"message\":\"writing requires points\"}");
    assert!(status == Some(0) && text.contains("lets us write"), "{text}");
    assert_eq!(said(204, "").0, Some(0));
    let (status, text) = said(401, "{\"message\":\"unauthorized access\"}");
    assert!(status == Some(1) && text.contains("sink `out`: http://127.0.0.1:"), "{text}");
    assert!(
        text.contains("401 Unauthorized")
            && text.contains("unauthorized access")
            && text.contains("is `token` right?"),
        "{text}"
    );
    let (status, text) = said(404, "{\"message\":\"bucket not found\"}");
    assert!(status == Some(1) && text.contains("are `url`, `org` and `bucket` right?"), "{text}");
}
