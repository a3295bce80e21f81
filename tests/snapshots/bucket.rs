//! A bucket as a target: what goes in comes out, and what goes wrong is said.

use super::server::{Server, open};
use super::state::{NOW, commit, keyed, open_state, take};
use crate::common::Folder;
use headwater::clients::hidden::Hidden;
use headwater::clients::s3::{S3Options, S3Target};
use headwater::state::disk::{Disk, RealDisk};
use headwater::state::snapshot::{SnapshotTarget, find_snapshots, keep_newest, restore};
use headwater::time::{Clock, Millis, SystemClock, Timestamp};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

#[test]
fn what_goes_in_comes_out() {
    let Some(server) = Server::start() else { return };
    let mut target = server.target();
    assert_eq!(target.list("parts/").unwrap(), []);
    let large: Vec<u8> = (0..8_u32 << 20).map(|i| (i % 251) as u8).collect();
    target.put("parts/a/b c+ü&<>'\"%/x", &large).unwrap();
    target.put("parts/a/empty", b"").unwrap();
    target.put("parts/a/empty", b"not any more").unwrap();
    target.put("snapshots/a", b"other").unwrap();
    assert_eq!(target.get("parts/a/b c+ü&<>'\"%/x", 8 << 20).unwrap(), large);
    assert!(target.get("parts/a/empty", 3).unwrap_err().to_string().contains("more than 3 bytes"));
    let listed = target.list("parts/").unwrap();
    let found: Vec<_> = listed.iter().map(|stored| (stored.name.as_str(), stored.bytes)).collect();
    assert_eq!(found, [("parts/a/b c+ü&<>'\"%/x", 8 << 20), ("parts/a/empty", 12)]);
    let age = SystemClock::new().wall().0 - listed[0].modified.0;
    assert!((-5_000..120_000).contains(&age), "{age}");
    target.delete("parts/a/empty").unwrap();
    target.delete("parts/a/empty").unwrap();
    let gone = target.get("parts/a/empty", 100).unwrap_err().to_string();
    assert!(gone.contains("NoSuchKey (404)"), "{gone}");
}

#[test]
fn long_lists_come_in_pages() {
    let Some(server) = Server::start() else { return };
    let mut target = server.target();
    let names: Vec<String> = (0..1_050).map(|number| format!("parts/{number:04}")).collect();
    names.iter().for_each(|name| target.put(name, b"").unwrap());
    let listed: Vec<String> = target.list("parts/").unwrap().into_iter().map(|stored| stored.name).collect();
    assert_eq!(listed, names);
}

#[test]
fn state_comes_back_from_a_bucket() {
    let Some(server) = Server::start() else { return };
    let (folder, mut target) = (Folder::empty(), server.target());
    let mut state = open_state(&folder.path().join("state"));
    commit(&mut state, 12_000);
    state.fold().unwrap();
    commit(&mut state, 100);
    let then = keyed(&state);
    let first = take(&mut state, 0, &mut target, &mut |_| {}).unwrap();
    assert!(first.sent > 12 << 20);
    commit(&mut state, 100);
    for round in 1..5 {
        let next = take(&mut state, round, &mut target, &mut |_| {}).unwrap();
        assert!(next.sent < 1 << 20, "only what has changed: {}", next.sent);
    }
    keep_newest(&first.manifest.owner, 4, NOW, &mut target).unwrap();
    let (whole, damaged) = find_snapshots(&mut target, &mut |_, _| true).unwrap();
    assert_eq!((whole.len(), damaged.len()), (4, 0));
    assert!(!whole.contains(&first.manifest));
    let restored = folder.path().join("restored");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&restored).unwrap());
    restore(&whole[3], &mut target, &disk, 9).unwrap();
    let restored = open_state(&restored);
    assert_eq!((restored.epoch(), keyed(&restored)), (state.epoch(), keyed(&state)));
    assert_ne!(keyed(&restored), then);
    assert_ne!(restored.incarnation(), state.incarnation());
}

#[test]
fn refusals_are_explained() {
    let Some(server) = Server::start() else { return };
    let refused = |options: S3Options| open(options).put("parts/x", b"x").unwrap_err().to_string();
    let wrong = refused(S3Options { secret_key: Hidden("wrong".to_owned()), ..server.options() });
    assert!(wrong.contains("SignatureDoesNotMatch") && wrong.contains("is `secret_key` right?"), "{wrong}");
    assert!(!wrong.contains("wrong\""), "{wrong}");
    let stranger = refused(S3Options { access_key: "stranger".to_owned(), ..server.options() });
    assert!(stranger.contains("is `access_key` right?"), "{stranger}");
    let nowhere = refused(S3Options { bucket: "nowhere".to_owned(), ..server.options() });
    assert!(nowhere.contains("NoSuchBucket") && nowhere.contains("make the bucket first"), "{nowhere}");
    let away = refused(S3Options { region: Some("eu-north-9".to_owned()), ..server.options() });
    assert!(away.contains("is `region` that of the bucket?"), "{away}");
}

/// A clock that is an hour off.
struct Skewed(SystemClock);

impl Clock for Skewed {
    fn wall(&self) -> Timestamp {
        Timestamp(self.0.wall().0 - 3_600_000)
    }

    fn elapsed(&self) -> Millis {
        self.0.elapsed()
    }

    fn wait(&self, span: Millis) {
        self.0.wait(span);
    }

    fn synchronised(&self) -> bool {
        false
    }

    fn entropy(&self) -> u64 {
        self.0.entropy()
    }
}

#[test]
fn a_clock_that_is_wrong_is_blamed() {
    let Some(server) = Server::start() else { return };
    let mut target = S3Target::new(server.options(), Arc::new(Skewed(SystemClock::new()))).unwrap();
    let error = target.put("parts/x", b"x").unwrap_err().to_string();
    assert!(error.contains("RequestTimeTooSkewed") && error.contains("the clock of this machine"), "{error}");
    assert!(error.contains(" GMT"), "{error}");
}

#[test]
fn a_server_that_dies_leaves_nothing_that_counts() {
    let Some(mut server) = Server::start() else { return };
    let (folder, mut target) = (Folder::empty(), server.target());
    let mut state = open_state(folder.path());
    commit(&mut state, 20_000);
    let error = take(&mut state, 0, &mut target, &mut |step| {
        if step == 2 {
            server.kill();
        }
    });
    assert!(error.unwrap_err().to_string().contains("no connection to http://127.0.0.1:"));
    server.restart();
    assert_eq!(find_snapshots(&mut target, &mut |_, _| true).unwrap().0, []);
    let taken = take(&mut state, 1, &mut target, &mut |_| {}).unwrap();
    assert!(taken.sent < taken.manifest.bytes());
    let restored = folder.path().join("restored");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&restored).unwrap());
    restore(&taken.manifest, &mut target, &disk, 9).unwrap();
    assert_eq!(keyed(&open_state(&restored)), keyed(&state));
}

/// Passes connections on to a server, and cuts each off behind so many bytes of requests.
fn cutting(to: u16, after: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", to)).unwrap());
            let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut answers, &mut back));
            thread::spawn(move || pass(client, server, after));
        }
    });
    port
}

fn pass(mut client: TcpStream, mut server: TcpStream, mut left: usize) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = client.read(&mut bytes[..left.min(4096)]) {
        left -= read;
        if server.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn a_line_that_breaks_in_the_middle_of_a_part_leaves_no_part() {
    let Some(server) = Server::start() else { return };
    let port = cutting(server.port, 1 << 20);
    let mut target =
        open(S3Options { endpoint: Some(format!("http://127.0.0.1:{port}")), ..server.options() });
    target.put("parts/small", &[1; 1000]).unwrap();
    let error = target.put("parts/large", &[1; 4 << 20]).unwrap_err().to_string();
    assert!(error.starts_with("writing parts/large: http://127.0.0.1:"), "{error}");
    let listed = server.target().list("parts/").unwrap();
    assert_eq!(listed.iter().map(|stored| stored.name.as_str()).collect::<Vec<_>>(), ["parts/small"]);
}
