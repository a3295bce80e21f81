use super::*;
use crate::config::Secrets;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"long"}]}"#;

type Asked = Arc<Mutex<Vec<String>>>;

/// A registry that answers each request as it is told; closes each connection behind it.
fn serve(answer: impl Fn(&str, usize) -> (u16, String) + Send + 'static) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let noted = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut bytes, mut piece) = (stream.unwrap(), Vec::new(), [0; 4096]);
            let request = loop {
                let count = stream.read(&mut piece).unwrap();
                bytes.extend_from_slice(&piece[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let length = text
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let head = text.find("\r\n\r\n").map(|at| at + 4);
                if count == 0 || head.is_some_and(|head| text.len() >= head + length.unwrap_or(0usize)) {
                    break text;
                }
            };
            let mut asked = noted.lock().unwrap();
            asked.push(request.clone());
            let (status, body) = answer(request.lines().next().unwrap_or_default(), asked.len());
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    (url, asked)
}

fn client(url: &str, subject: Option<&str>, schema: Option<&str>, register: bool) -> RegistryClient {
    RegistryClient::new(RegistryOptions {
        url: url.to_owned(),
        credentials: Some(("me".to_owned(), "secret".to_owned())),
        ca: None,
        own: None,
        subject: subject.map(str::to_owned),
        schema: schema.map(str::to_owned),
        register,
        secrets: Secrets::default(),
    })
}

fn wait_for(client: &RegistryClient, number: u32) -> Sought {
    let clock = SystemClock::new();
    for _ in 0..3_000 {
        match client.schema(number) {
            Sought::Waiting => clock.wait(Millis(10)),
            sought => return sought,
        }
    }
    panic!("nothing is found out");
}

fn schema(number: u32) -> String {
    json!({ "id": number, "version": 1, "schema": SCHEMA }).to_string()
}

#[test]
fn a_schema_is_asked_for_once_and_until_the_registry_is_there() {
    let (url, asked) = serve(|request, times| match times {
        1 | 2 => (503, String::new()),
        3 => (401, json!({ "message": "who are you?" }).to_string()),
        _ if request.starts_with("GET /schemas/ids/7 ") => (200, schema(7)),
        _ if request.starts_with("GET /schemas/ids/8 ") => {
            (200, json!({ "schemaType": "PROTOBUF", "schema": "" }).to_string())
        }
        _ => (404, json!({ "error_code": 40403 }).to_string()),
    });
    let client = client(&url, None, None, false);
    assert!(matches!(client.schema(7), Sought::Waiting));
    assert!(matches!(wait_for(&client, 7), Sought::Found(schema) if schema.fields().unwrap().eq(["n"])));
    for (number, why) in [(8, "it is of PROTOBUF"), (9, "the registry has no schema 9")] {
        assert!(matches!(wait_for(&client, number), Sought::None(said) if said.contains(why)));
        assert!(matches!(client.schema(number), Sought::None(_)));
    }
    assert!(matches!(client.schema(7), Sought::Found(_)));
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 6, "{asked:#?}");
    assert!(asked[0].to_lowercase().contains("authorization: basic bwu6c2vjcmv0"), "{}", asked[0]);
}

#[test]
fn what_is_written_by_is_found_or_made() {
    let (url, asked) = serve(|request, _| match request {
        _ if request.starts_with("GET /subjects/a%2Fb-value/versions/latest ") => (200, schema(3)),
        _ if request.starts_with("POST /subjects/known ") => (200, schema(4)),
        _ if request.starts_with("POST /subjects/new/versions ") => (200, json!({ "id": 5 }).to_string()),
        _ => (404, json!({ "message": "Subject not found." }).to_string()),
    });
    let number = |subject: &str, schema: Option<&str>, register: bool| {
        client(&url, Some(subject), schema, register).writing().map(|(number, _)| number)
    };
    assert_eq!(number("a/b-value", None, false), Ok(3));
    assert_eq!(number("known", Some(SCHEMA), false), Ok(4));
    assert_eq!(number("new", Some(SCHEMA), true), Ok(5));
    assert!(asked.lock().unwrap().last().unwrap().contains(r#"{\"type\":\"record\""#));
    let why = number("new", Some(SCHEMA), false).unwrap_err();
    assert!(why.contains(&url) && why.contains("does not have this `schema`"), "{why}");
    assert!(number("new", None, false).unwrap_err().contains("it has no subject `new`"));
}

#[test]
fn a_look_changes_nothing() {
    let (url, asked) = serve(|request, _| match request {
        _ if request.starts_with("POST /subjects/known ") => (200, schema(4)),
        _ if request.starts_with("GET /subjects/latest/versions/latest ") => (200, schema(5)),
        _ if request.starts_with("GET /subjects/shut/") => {
            (401, json!({ "message": "x".repeat(5000) }).to_string())
        }
        _ => (404, json!({ "message": "Subject not found." }).to_string()),
    });
    let look = |subject: &str, schema: Option<&str>| client(&url, Some(subject), schema, true).probe(true);
    assert!(look("known", Some(SCHEMA)).unwrap().ends_with("has schema 4 for `known`"));
    assert!(look("latest", None).unwrap().ends_with("has schema 5 for `latest`"));
    assert!(look("new", Some(SCHEMA)).unwrap().ends_with("will be given the schema of `new`"));
    let why = look("shut", None).unwrap_err();
    assert!(why.contains("401") && why.contains("xxx") && why.len() < 500, "{why}");
    assert!(client(&url, None, None, false).probe(false).unwrap().ends_with(" answers"));
    assert!(!asked.lock().unwrap().iter().any(|request| request.starts_with("POST /subjects/new/versions")));
    let nobody = client("http://127.0.0.1:1", None, None, false).probe(false).unwrap_err();
    assert!(nobody.contains("the schema registry http://127.0.0.1:1"), "{nobody}");
}
